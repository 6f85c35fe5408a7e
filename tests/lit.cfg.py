import os

import lit.formats
import lit.util

config.name = "elah"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs"]
config.test_source_root = config.source_dir + "/tests"
config.test_exec_root = config.binary_dir + "/tests"
config.environment["PATH"] = os.pathsep.join(
    [config.binary_dir + "/bin", config.llvm_tools_dir, os.environ["PATH"]]
)
config.environment["FILECHECK_OPTS"] = "--enable-var-scope --allow-unused-prefixes=false"
config.substitutions.append(("%src", config.source_dir))
config.substitutions.append(("%bin", config.binary_dir))
if os.path.exists("/dev/nvidia0"):
    config.available_features.add("gpu")
if os.path.exists("/usr/local/cuda/lib64/libnvrtc.so"):
    config.available_features.add("nvrtc")
if lit.util.which("nvcc"):
    config.available_features.add("nvcc")
