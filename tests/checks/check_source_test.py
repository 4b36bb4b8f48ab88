"""The source checks must find what they are there for."""
import os
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "check-source")


class CheckSource(unittest.TestCase):
    def run_check(self, check, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            done = subprocess.run([sys.executable, SCRIPT, "--root", root, check],
                                  capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def assert_passes(self, check, files):
        self.assertEqual(self.run_check(check, files)[0], 0)

    def assert_finds(self, check, files, message):
        code, output = self.run_check(check, files)
        self.assertNotEqual(code, 0)
        self.assertIn(message, output)

    def test_lets_folders_include_what_is_left_of_them(self):
        self.assert_passes("includes", {
            "serving/a.cpp": '#include "serving/a.h"\n#include "inference/s.h"\n#include <map>\n',
            "cli/main.cpp": '#include "training/t.h"\n#include "cli/local.h"\n',
        })

    def test_finds_a_wrong_direction(self):
        self.assert_finds("includes", {"serving/a.cpp": '\n#include "training/t.h"\n'},
                          "serving/a.cpp:2: serving/ may not include training/t.h")
        self.assert_finds("includes", {"core/a.h": "#include <ops/x.h>\n"}, "core/a.h:1:")
        self.assert_finds("includes", {"ops/norm/a.h": '#  include "models/x.h"\n'}, "ops/norm/a.h:1:")

    def test_finds_relative_includes(self):
        self.assert_finds("includes", {"ops/a.cpp": '#include "a.h"\n'}, "from the root")
        self.assert_finds("includes", {"cli/a.cpp": '#include "../core/a.h"\n'}, "from the project")

    def test_follows_the_includes_of_kernels(self):
        kernel = '#include "ops/kernels/cpu/simd.h"\n#include <cstdint>\n'
        self.assert_passes("includes", {"ops/n/k.isa.cpp": kernel,
                                        "ops/kernels/cpu/simd.h": "#include <cstddef>\n"})
        self.assert_finds("includes", {"ops/n/k.isa.cpp": kernel,
                                       "ops/kernels/cpu/simd.h": "#include <vector>\n"},
                          "<vector> reaches ops/n/k.isa.cpp")
        self.assert_finds("includes", {"ops/n/k.isa.cpp": '#include "core/tensor.h"\n'},
                          "only such headers of ops/")

    def test_finds_vendors_in_the_library_only(self):
        self.assert_finds("vendors", {"core/a.h": "// as cudaMalloc does\n"}, "core/a.h:1: cuda")
        self.assert_finds("vendors", {"serving/a.cpp": "\nint OpenCL;\n"}, "serving/a.cpp:2:")
        self.assert_passes("vendors", {"devices/cuda/a.cu": "cuda\n", "cli/a.cpp": "// cuda\n",
                                       "ops/a.cpp": "// in ascending order\n"})

    def test_finds_long_files_but_not_generated_ones(self):
        self.assert_finds("lengths", {"core/a.cpp": "\n" * 601}, "601 lines; at most 600")
        self.assert_finds("lengths", {"tests/a.py": "\n" * 801}, "at most 800")
        self.assert_passes("lengths", {"core/a.cpp": "\n" * 600, "tests/b.cpp": "\n" * 800,
                                       "core/generated/a.cpp": "\n" * 9000})

    def test_finds_calls_that_end_the_process_or_print(self):
        for call in ("std::abort();", "exit(1);", 'printf("x");', "std::cout << 1;",
                     "assert(x);", 'fmt::print("x");', 'std::fprintf(stderr, "x");'):
            self.assert_finds("calls", {"core/a.cpp": f"void f() {{\n  {call}\n}}\n"}, "core/a.cpp:2:")

    def test_leaves_comments_strings_and_other_names_alone(self):
        self.assert_passes("calls", {
            "core/a.cpp": '// exit(1)\n/* abort() */ f("printf(1)");\nstatic_assert(true);\n'
                          "loop.exit(); on_exit(); x->abort(); R\"(exit(1))\";\nconst int n = 1'000;\n",
            "cli/main.cpp": "int main() { exit(1); }\n",
        })


if __name__ == "__main__":
    unittest.main()
