// A device's program for a network of arrayse: reads a recording, pushes it block by block through a file of
// `arrayse export RUN FILE.onnx form=wave`, writes the estimate. It needs ONNX Runtime and nothing else.
//
//     host network.onnx noisy.wav enhanced.wav
//
// Open files of your own only: ONNX Runtime reads whatever other file a model names as the place of its weights.

#include <onnxruntime_cxx_api.h>

#include <chrono>
#include <iostream>
#include <numeric>
#include <sstream>

#include "wav.hpp"

namespace {

size_t n_elements(const std::vector<int64_t>& shape) {
    return std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<>());
}

// One network on one stream. Its inputs are the signal, then the states; its outputs the estimate, then the next states.
class Network {
   public:
    long sample_rate, block_samples, delay_samples, n_array_mics;
    std::vector<long> mics;  // channels of the array that it hears

    explicit Network(const std::string& path) : session_(environment_, path.c_str(), options()) {
        for (size_t i = 0; i < session_.GetInputCount(); ++i) {
            names_in_.push_back(session_.GetInputNameAllocated(i, allocator_).get());
            inputs_.push_back(zeros(session_.GetInputTypeInfo(i)));
        }
        for (size_t i = 0; i < session_.GetOutputCount(); ++i) {
            names_out_.push_back(session_.GetOutputNameAllocated(i, allocator_).get());
            outputs_.push_back(zeros(session_.GetOutputTypeInfo(i)));
        }
        if (names_in_[0] != "wave" || inputs_.size() != outputs_.size())
            throw std::runtime_error(path + ": expected a file of arrayse export with form=wave, got another");
        if (number("version") != 1) throw std::runtime_error(path + ": expected a file of version 1, got another");
        sample_rate = number("sample_rate"), block_samples = number("block_samples");
        delay_samples = number("delay_samples"), n_array_mics = number("n_array_mics");
        std::istringstream list(property("mics"));
        for (long mic; list >> mic;) mics.push_back(mic);
        for (auto& name : names_in_) in_.push_back(name.c_str());
        for (auto& name : names_out_) out_.push_back(name.c_str());
    }

    float* wave() { return inputs_[0].GetTensorMutableData<float>(); }             // (mics, block_samples), to be filled
    const float* estimate() { return outputs_[0].GetTensorMutableData<float>(); }  // (block_samples), after a step

    // Computes the next estimate; false: the block was muted. No number that is no sound gets into a state, where it
    // would stay: such a block is heard as zeros, and where the estimate is not finite, zeros come out of it.
    bool step() {
        float *heard = wave(), *estimated = outputs_[0].GetTensorMutableData<float>();
        const size_t n_heard = mics.size() * block_samples;
        const bool is_sound = std::all_of(heard, heard + n_heard, [](float x) { return std::abs(x) <= 1e10f; });
        if (!is_sound) std::fill_n(heard, n_heard, 0.0f);
        session_.Run(Ort::RunOptions{nullptr}, in_.data(), inputs_.data(), in_.size(), out_.data(), outputs_.data(),
                     out_.size());
        if (!std::all_of(estimated, estimated + block_samples, [](float x) { return std::isfinite(x); })) {
            std::fill_n(estimated, block_samples, 0.0f);
            return false;
        }
        for (size_t i = 1; i < inputs_.size(); ++i) std::swap(inputs_[i], outputs_[i]);  // the next states
        return is_sound;
    }

   private:
    Ort::Env environment_{ORT_LOGGING_LEVEL_ERROR};
    Ort::AllocatorWithDefaultOptions allocator_;
    Ort::Session session_;
    std::vector<std::string> names_in_, names_out_;
    std::vector<const char*> in_, out_;
    std::vector<Ort::Value> inputs_, outputs_;

    static Ort::SessionOptions options() {
        Ort::SessionOptions options;
        options.SetIntraOpNumThreads(1);
        return options;
    }
    Ort::Value zeros(const Ort::TypeInfo& info) {
        const auto tensor = info.GetTensorTypeAndShapeInfo();
        const auto shape = tensor.GetShape();
        const auto type = tensor.GetElementType();
        Ort::Value value = Ort::Value::CreateTensor(allocator_, shape.data(), shape.size(), type);
        const size_t size = type == ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL ? 1 : type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT ? 4 : 8;
        std::memset(value.GetTensorMutableRawData(), 0, n_elements(shape) * size);
        return value;
    }
    std::string property(const std::string& name) {
        const auto text = session_.GetModelMetadata().LookupCustomMetadataMapAllocated(("arrayse." + name).c_str(), allocator_);
        if (!text) throw std::runtime_error("expected a file of arrayse export, got one without arrayse." + name);
        return text.get();
    }
    long number(const std::string& name) { return std::stol(property(name)); }
};

void enhance(const std::string& model, const std::string& source, const std::string& destination) {
    Network network(model);
    WavReader noisy(source);
    const size_t block = network.block_samples, n_heard = network.mics.size(), n_channels = noisy.n_channels;
    if (noisy.sample_rate != network.sample_rate)
        throw std::runtime_error(source + ": expected " + std::to_string(network.sample_rate) + " Hz");
    if (n_channels != n_heard && n_channels != static_cast<size_t>(network.n_array_mics))
        throw std::runtime_error(source + ": expected " + std::to_string(network.n_array_mics) + " channels");
    WavWriter enhanced(destination, noisy.sample_rate, noisy.n_samples);
    std::vector<float> heard(n_channels * block);
    size_t n_late = network.delay_samples, n_left = noisy.n_samples, n_muted = 0;
    double seconds = 0;
    while (n_left) {
        noisy.read(heard, block);
        for (size_t i = 0; i < n_heard; ++i) {
            const size_t channel = n_channels == n_heard ? i : network.mics[i];
            std::copy_n(heard.data() + channel * block, block, network.wave() + i * block);
        }
        const auto start = std::chrono::steady_clock::now();
        n_muted += !network.step();
        seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        const size_t n_skipped = std::min(n_late, block), n_kept = std::min(block - n_skipped, n_left);
        enhanced.write(network.estimate() + n_skipped, n_kept);
        n_late -= n_skipped, n_left -= n_kept;
    }
    const double length = double(noisy.n_samples) / noisy.sample_rate;
    std::cout << "latency " << 1e3 * (block + network.delay_samples) / network.sample_rate << " ms, real-time factor "
              << seconds / length << ", " << n_muted << " muted blocks\n";
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 4) throw std::runtime_error("expected: host network.onnx noisy.wav enhanced.wav");
    enhance(argv[1], argv[2], argv[3]);
} catch (const std::exception& error) {
    std::cerr << "error " << error.what() << "\n";
    return 2;
}
