// WAV files block by block: 16-bit or 32-bit float samples in, 16-bit samples of one channel out.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

class File {
   public:
    File(const std::string& path, const char* mode) : path_(path), file_(std::fopen(path.c_str(), mode)) {
        if (!file_) throw std::runtime_error(path + ": cannot be opened");
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { std::fclose(file_); }

   protected:
    std::string path_;
    std::FILE* file_;
};

class WavReader : File {
   public:
    uint16_t n_channels = 0;
    uint32_t sample_rate = 0;
    uint32_t n_samples = 0;  // per channel

    explicit WavReader(const std::string& path) : File(path, "rb") {
        if (tag() != "RIFF" || (number<uint32_t>(), tag()) != "WAVE") throw bad("a WAV file");
        for (;;) {
            const std::string name = tag();
            const uint32_t size = number<uint32_t>();
            if (name == "fmt ") {
                read_format(size);
            } else if (name == "data") {
                if (!n_channels) throw bad("a format before the samples");
                n_samples = size / (n_channels * bytes_);
                if (!n_samples) throw bad("samples");
                return;
            } else {
                skip(size + size % 2);
            }
        }
    }

    // The next samples, channel after channel; zeros behind the end.
    void read(std::vector<float>& block, size_t n) {
        raw_.resize(n * n_channels * bytes_);
        const size_t n_left = std::min<size_t>(n, n_samples - n_read_);
        const size_t got = std::fread(raw_.data(), n_channels * bytes_, n_left, file_);
        if (got < n_left) throw bad("all samples that its header promises");
        n_read_ += static_cast<uint32_t>(got);
        std::fill(block.begin(), block.end(), 0.0f);
        for (size_t t = 0; t < got; ++t)
            for (size_t c = 0; c < n_channels; ++c) block[c * n + t] = sample(raw_.data() + (t * n_channels + c) * bytes_);
    }

   private:
    uint16_t bytes_ = 0;
    uint32_t n_read_ = 0;
    std::vector<char> raw_;

    std::runtime_error bad(const char* wanted) const {
        return std::runtime_error(path_ + ": expected " + wanted + ", got another file");
    }
    template <class T>
    T number() {
        T value;
        if (std::fread(&value, sizeof value, 1, file_) != 1) throw bad("a whole WAV file");
        return value;
    }
    std::string tag() {
        char name[4];
        if (std::fread(name, 1, 4, file_) != 4) throw bad("a whole WAV file");
        return {name, 4};
    }
    void skip(uint32_t size) {
        if (std::fseek(file_, size, SEEK_CUR)) throw bad("a whole WAV file");
    }
    void read_format(uint32_t size) {
        uint16_t kind = number<uint16_t>();
        n_channels = number<uint16_t>();
        sample_rate = number<uint32_t>();
        skip(6);
        bytes_ = number<uint16_t>() / 8;
        uint32_t n_read = 16;
        if (kind == 0xFFFE && size >= 26) {  // extensible: the kind stands at the end
            skip(8);
            kind = number<uint16_t>();
            n_read = 26;
        }
        skip(size - n_read);
        if (!n_channels || !((kind == 1 && bytes_ == 2) || (kind == 3 && bytes_ == 4))) throw bad("16-bit or float samples");
    }
    float sample(const char* place) const {
        if (bytes_ == 2) {
            int16_t value;
            std::memcpy(&value, place, 2);
            return value / 32768.0f;
        }
        float value;
        std::memcpy(&value, place, 4);
        return value;
    }
};

class WavWriter : File {
   public:
    WavWriter(const std::string& path, uint32_t sample_rate, uint32_t n_samples) : File(path, "wb") {
        const uint32_t size = 2 * n_samples;
        std::fwrite("RIFF", 1, 4, file_), put<uint32_t>(36 + size), std::fwrite("WAVEfmt ", 1, 8, file_);
        put<uint32_t>(16), put<uint16_t>(1), put<uint16_t>(1), put(sample_rate), put(2 * sample_rate);
        put<uint16_t>(2), put<uint16_t>(16), std::fwrite("data", 1, 4, file_), put(size);
    }
    void write(const float* samples, size_t n) {
        for (size_t t = 0; t < n; ++t) {
            const float scaled = std::nearbyint(samples[t] * 32768.0f);
            put(static_cast<int16_t>(std::clamp(scaled, -32768.0f, 32767.0f)));
        }
    }

   private:
    template <class T>
    void put(T value) {
        if (std::fwrite(&value, sizeof value, 1, file_) != 1) throw std::runtime_error(path_ + ": cannot be written");
    }
};
