#!/usr/bin/env bash
# The first path on real speech: simulate, teacher, students without and with distillation, table, report.
# Usage: experiments/first_path/run.sh PACK   (a folder with MANIFEST.csv: speech and noise, three splits)
# About an hour and a half on two cores; started again, it goes on where it stopped.
set -euo pipefail
pack=$(realpath "${1:?usage: experiments/first_path/run.sh PACK (a folder with MANIFEST.csv)}")
cd "$(dirname "$0")/../.."
export PATH=$PWD/.venv/bin:$PATH
here=experiments/first_path
data=$here/data
runs=$here/runs

arrayse simulate $here/simulate.yaml speech="$pack" noise="$pack" out=$data
arrayse train $here/teacher.yaml data=$data out=$runs/teacher
arrayse train $here/student.yaml data=$data out=$runs/student
arrayse distill $here/student.yaml $here/lin.yaml teacher=$runs/teacher data=$data out=$runs/student_lin
baselines=delay_and_sum,superdirective,mvdr_estimated,mwf_estimated,mvdr_oracle,mwf_oracle
baselines+=,irm_oracle,wiener_oracle,psm_oracle,cirm_oracle
arrayse evaluate $runs/teacher $runs/student $runs/student_lin baseline=student beamformers="[$baselines]" data=$data out=$runs/evaluation
arrayse report $runs/evaluation
cp $runs/evaluation/table.md $runs/evaluation/table.csv $here/
