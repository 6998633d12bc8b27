"""The command line: ``python -m privlab COMMAND``. Each command imports what it needs only when it is called."""

import argparse
import sys
from collections.abc import Sequence

DATASETS = ("digits", "breast_cancer", "mnist5k", "survey")
NOISE = (0.0, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse ``arguments`` (default: those of the process), run the command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m privlab", description="Privacy in training: the kit's commands.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    commands.add_parser("doctor", help="check that the kit can run here").set_defaults(run=doctor)
    experiment = commands.add_parser("frontier", help="run the main experiment: leakage versus accuracy")
    experiment.set_defaults(run=frontier)
    experiment.add_argument("--dataset", choices=DATASETS, default="digits")
    experiment.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=NOISE,
        metavar="SIGMA",
        help="noise multipliers; 0 trains without privacy",
    )
    experiment.add_argument(
        "--shards", type=int, nargs="+", default=(1,), metavar="S", help="over how many shards the training is split"
    )
    experiment.add_argument(
        "--trust",
        nargs="+",
        default=("central",),
        metavar="WHOM",
        help="central: the server adds noise; secure-sum: it does, but sees the total only; local: each shard adds its own",
    )
    experiment.add_argument("--shadow-models", type=int, default=64, metavar="K")
    experiment.add_argument("--delta", type=float, default=1e-4)
    experiment.add_argument("--seed", type=int, default=0)
    experiment.add_argument(
        "--workers", type=int, default=2, help="processes; the results do not depend on their number"
    )
    experiment.add_argument("--cache", metavar="FOLDER", help="keep the shadow models' answers there")
    experiment.add_argument("--json", default="frontier.json", metavar="FILE", help="where to write the results")
    experiment.add_argument("--png", default="frontier.png", metavar="FILE", help="where to write the picture")
    copies = commands.add_parser("release", help="make the students' copy of a lesson, without solutions")
    copies.set_defaults(run=release)
    copies.add_argument("lesson", help="two digits")
    copies.add_argument("folder", metavar="DIR", help="where the copy goes")
    copies.add_argument("--source", default="notebooks", metavar="DIR", help="the folder with the solved notebooks")
    grades = commands.add_parser("grade", help="run and check submitted notebooks: this executes what students wrote")
    grades.set_defaults(run=grade)
    grades.add_argument("files", nargs="+", metavar="FILE")
    grades.add_argument("--json", default="grades.json", metavar="FILE", help="where to write the verdicts")
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
    except ValueError as error:
        parser.error(str(error))
    return status


def doctor(options: argparse.Namespace) -> int:
    """Check this machine and its packages; print what to mend."""
    from privlab.doctor import report

    return report()


def frontier(options: argparse.Namespace) -> int:
    """Run the main experiment; print a table, write the picture and the results."""
    from pathlib import Path

    import privlab.data
    from privlab.leakage import leakage_vs_accuracy
    from privlab.plots import dashboard, png

    for path in (options.json, options.png):
        if not Path(path).resolve().parent.is_dir():
            raise ValueError(f"{path!r} is in no folder that exists")
    result = leakage_vs_accuracy(
        getattr(privlab.data, f"load_{options.dataset}")(),
        noise_multipliers=options.noise,
        shards=options.shards,
        trust=options.trust,
        shadow_models=options.shadow_models,
        delta=options.delta,
        seed=options.seed,
        workers=options.workers,
        cache=options.cache,
    )
    head = "noise   epsilon   accuracy   LiRA AUC   TPR at 1 %   TPR at 0.1 % false positives   "
    print(f"{head}shards   trust        epsilon, model alone")
    for point in result.points:
        print(
            f"{point.noise_multiplier:<7g} {point.epsilon:<9.3g} {point.accuracy:<10.1%} {point.auc:<10.3f} "
            f"{point.tpr_at_1_percent:<12.2%} {point.tpr_at_01_percent:<30.2%} "
            f"{point.shards:<8} {point.trust:<12} {point.model_epsilon:.3g}"
        )
    result.save(options.json)
    Path(options.png).write_bytes(png(dashboard(result)[0], dpi=200))
    print(f"wrote {options.json} and {options.png}")
    return 0


def release(options: argparse.Namespace) -> int:
    """Write the students' copy of a lesson."""
    from privlab.classroom.release import release

    print(f"wrote {release(options.lesson, options.folder, options.source)}")
    return 0


def grade(options: argparse.Namespace) -> int:
    """Grade notebooks; print a report and write it as JSON."""
    from pathlib import Path

    from privlab.classroom.grade import grade, report

    if not Path(options.json).resolve().parent.is_dir():
        raise ValueError(f"{options.json!r} is in no folder that exists")
    grades = grade(options.files)
    print(*grades, sep="\n")
    Path(options.json).write_text(report(grades) + "\n", encoding="utf-8")
    print(f"wrote {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
