"""What benchmarks/compare computes from samples: shares, rows, tables, who goes first."""
import os
import subprocess
import sys
import unittest
from importlib import util
from importlib.machinery import SourceFileLoader

BENCHMARKS = os.path.join(os.path.dirname(__file__), "..", "..", "benchmarks")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(BENCHMARKS, "compare"))
from measures import MEASURES, Bar, Measure
from measuring import Failed, Results, Run, Sample, measure_in_turns, run
from report import limits_words, number, rows_of, table
from work import Shape, Work, share

# SmolLM2-135M in Q4_1.
SHAPE = Shape(layers=30, width=576, hidden=1536, heads=9, kv_heads=3, head_dim=64,
              vocabulary=49152, weight_bytes=96_576_768, dtype="int8")
LIMITS = {"f32_gflops": 100.0, "int8_gops": 400.0, "read_gb_per_s": 20.0}
PYTHON = sys.executable


def results_of(**sides):
    """Of one measure "m"; memory in MB beside each value."""
    results = Results()
    for side, samples in sides.items():
        for value, megabytes in samples:
            results.add("m", side, Sample(value, megabytes * 1_000_000, LIMITS))
    return results


def measure(unit, *bars, work=None):
    return Measure("m", "some work", unit, {}, bars, work)


class Shares(unittest.TestCase):
    def test_of_arithmetic_add_up_over_dtypes(self):
        work = Work("arithmetic", tokens=10, operations={"int8": 4e11, "f32": 1e11})
        self.assertAlmostEqual(share(work, 2.5, LIMITS), 0.5)  # 4 s where 2 s are needed

    def test_of_bf16_are_of_float32_without_such_instructions(self):
        work = Work("arithmetic", tokens=10, operations={"bf16": 2e11})
        self.assertAlmostEqual(share(work, 2.5, LIMITS), 0.5)
        self.assertAlmostEqual(share(work, 2.5, LIMITS | {"bf16_gflops": 200.0}), 0.25)

    def test_of_bandwidth_count_weights_once_for_a_batch(self):
        one, many = SHAPE.decode(0, 1), SHAPE.decode(0, 1, batch=16)
        self.assertAlmostEqual(share(one, 20e9 / SHAPE.weight_bytes, LIMITS), 1, places=3)
        self.assertLess(share(many, 100, LIMITS), share(one, 100, LIMITS) / 15)

    def test_have_the_operations_of_the_model(self):
        self.assertEqual(SHAPE.layer_operations() + SHAPE.head_operations(),
                         2 * (134_515_008 - 61 * 576))  # all parameters but the norms
        self.assertEqual(SHAPE.prefill(1).operations["f32"], 30 * 4 * 576)
        self.assertEqual(SHAPE.kv_bytes(1), 30 * 2 * 192 * 2)
        lora = SHAPE.lora_step(4, 256).operations
        self.assertEqual(lora["bf16"], lora["int8"])
        full = SHAPE.full_step(4, 256)
        self.assertAlmostEqual(full.operations["f32"] / (6 * 134.5e6 * 1024), 1, delta=0.05)


class Rows(unittest.TestCase):
    def rows(self, measure_, results):
        return rows_of([measure_], results, {"q4_1": SHAPE})

    def test_compare_medians(self):
        results = results_of(yiti=[(90, 1), (100, 1), (200, 1)], peer=[(40, 1), (50, 1), (60, 1)])
        (row,) = self.rows(measure("tok/s", Bar("peer", 2.0)), results)
        self.assertEqual((row.ratio, row.met, row.yiti_spread), (2, True, (90, 200)))

    def test_want_less_of_time_and_memory(self):
        results = results_of(yiti=[(3, 60)], peer=[(4, 100)])
        time, memory = self.rows(measure("s", Bar("peer", 0.5), Bar("peer", 0.7, "peak_rss_bytes")),
                                 results)
        self.assertEqual((time.ratio, time.met), (0.75, False))
        self.assertEqual((memory.ratio, memory.unit, memory.met), (0.6, "MB", True))
        self.assertAlmostEqual(memory.advantage, 1 / 0.6)

    def test_are_met_near_the_limit(self):
        results = results_of(yiti=[(170, 1)], peer=[(169, 1)])
        (row,) = self.rows(measure("tok/s", Bar("peer", 2.5), work=lambda s: s.decode(0, 1)), results)
        self.assertEqual((row.near_limit, row.met), (True, True))

    def test_have_the_share_of_the_limit_beside_each_run(self):
        results = Results()
        for speed, bandwidth in ((100, 20.0), (150, 30.0), (50, 40.0)):
            results.add("m", "yiti", Sample(speed, 1, LIMITS | {"read_gb_per_s": bandwidth}))
        results.add("m", "peer", Sample(100, 1))
        (row,) = self.rows(measure("tok/s", Bar("peer", 2.5), work=lambda s: s.decode(0, 1)), results)
        self.assertAlmostEqual(row.share, share(SHAPE.decode(0, 1), 100, LIMITS))
        self.assertEqual(limits_words(results), "f32 gflops 100, int8 gops 400, read gb per s 30.0 (20.0–40.0)")

    def test_leave_out_what_was_not_measured(self):
        self.assertEqual(self.rows(measure("s", Bar("peer", 1)), results_of(yiti=[(1, 1)])), [])

    def test_become_a_table(self):
        results = results_of(yiti=[(1234.5, 1)], peer=[(2, 1), (3, 1), (4, 1)])
        self.assertEqual(table(self.rows(measure("tok/s", Bar("peer", 5.0)), results)).splitlines()[2],
                         "| some work | 1,234 tok/s | 3 (2–4) tok/s | peer | 412 | ≥ 5 |  | yes |")

    def test_have_numbers_of_three_digits(self):
        self.assertEqual([number(x) for x in (0.2034, 9.876, 12.34, 5678.9)],
                         ["0.203", "9.88", "12.3", "5,679"])


class Turns(unittest.TestCase):
    def test_change_who_goes_first(self):
        order = []

        def side(name):
            return Run(lambda tools: [PYTHON, "-c", ""], lambda ran: order.append(name) or 1.0)
        results = measure_in_turns({"m": {"yiti": side("y"), "peer": side("p")}}, None, 2)
        self.assertEqual("".join(order), "yppy")
        self.assertEqual(len(results.samples["m"]["yiti"]), 2)
        self.assertEqual(Results.of_json(results.as_json()), results)

    def test_measure_the_limits_right_before_yiti(self):
        class Tools:
            def limits(self):
                order.append("limits")
                return LIMITS
        order = []
        sides = {name: Run(lambda tools: [PYTHON, "-c", ""], lambda ran, name=name: order.append(name) or 1.0)
                 for name in ("yiti", "peer")}
        runs = Measure("m", "", "tok/s", sides, (), work=lambda s: s.decode(0, 1)).runs()
        results = measure_in_turns({"m": runs}, Tools(), 1)
        self.assertEqual(order, ["limits", "yiti", "peer"])
        self.assertEqual([s.limits for side in ("yiti", "peer") for s in results.samples["m"][side]],
                         [LIMITS, None])

    def test_go_on_without_a_side_that_fails(self):
        sides = {"yiti": Run(lambda tools: [PYTHON, "-c", "print(7)"], lambda ran: ran.json()),
                 "peer": Run(lambda tools: [PYTHON, "-c", "import sys; sys.exit('broken')"], None)}
        results = measure_in_turns({"m": sides}, None, 2)
        self.assertEqual([s.value for s in results.samples["m"]["yiti"]], [7, 7])
        self.assertIn("broken", results.errors["m/peer"])

    def test_measure_the_childs_memory(self):
        ran = run([PYTHON, "-c", "len(b'x' * 200_000_000)"])
        self.assertGreater(ran.peak_rss_bytes, 200_000_000)
        with self.assertRaises(Failed):
            run([PYTHON, "-c", "raise ValueError"])


class Programs(unittest.TestCase):
    def test_compare_lists_its_measures(self):
        done = subprocess.run([PYTHON, os.path.join(BENCHMARKS, "compare", "compare"), "--list"],
                              capture_output=True, text=True, check=True)
        self.assertEqual([line.split()[0] for line in done.stdout.splitlines()],
                         [m.name for m in MEASURES])
        for m in MEASURES:
            self.assertLessEqual({bar.peer for bar in m.bars}, set(m.sides))

    def test_scaling_and_regress_explain_themselves(self):
        for program in ("compare/scaling", "regress"):
            subprocess.run([PYTHON, os.path.join(BENCHMARKS, program), "--help"],
                           capture_output=True, check=True)

    def test_regress_finds_what_is_slower_or_larger(self):
        loader = SourceFileLoader("regress", os.path.join(BENCHMARKS, "regress"))
        regress = util.module_from_spec(util.spec_from_loader("regress", loader))
        loader.exec_module(regress)
        slower = regress.verdicts(results_of(old=[(100, 10)], new=[(90, 10)]), 0.05)
        larger = regress.verdicts(results_of(old=[(100, 10)], new=[(99, 11)]), 0.05)
        self.assertEqual([bad for _, bad in slower], [True, False])
        self.assertEqual([bad for _, bad in larger], [False, True])


if __name__ == "__main__":
    unittest.main()
