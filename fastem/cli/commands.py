"""The commands: fit, warmup, info."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand

from fastem.cli.options import FAMILIES, Convergence, Criterion, Search, parse_counts, parse_covariances, split_names

application = typer.Typer(
    help="Fit mixture models to tables.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from fastem import __version__

        typer.echo(f"fastem {__version__}")
        raise typer.Exit


@application.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Fit mixture models to tables."""


class OnceEach(TyperCommand):
    """A command that refuses an option given twice, of which typer would use the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Count how often each option is given, then parse."""
        given = Counter(self.make_parser(ctx).parse_args(list(args))[2])
        for option, times in given.items():
            if times > 1 and option.param_type_name == "option":
                raise typer.BadParameter(f"given {times} times", ctx, cast(Any, option))
        return super().parse_args(ctx, args)


def _known_family(name: str) -> str:
    """Refuse the name of an unknown family."""
    if name not in FAMILIES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(map(repr, FAMILIES))}")
    return name


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("it must be finite")
    return value


@application.command(cls=OnceEach)
def fit(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A .csv, .tsv, .parquet, .feather, .arrow or .npy file, or: faithful, galaxies, iris, xu.",
            show_default=False,
        ),
    ],
    counts: Annotated[
        str, typer.Option("-k", "--components", metavar="K", help="Numbers of components: 3, 1-6 or 2,4,8.")
    ],
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help='Columns to fit; numbers from 0 in .npy files; "a,b" for a name with a comma. All by default.',
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column that holds the weights of the rows.")
    ] = None,
    family: Annotated[
        str, typer.Option(metavar=f"[{'|'.join(FAMILIES)}]", callback=_known_family, help="Distribution of components.")
    ] = "gaussian",
    covariance: Annotated[
        str | None, typer.Option(metavar="A,B", help="full, tied, diag, spherical, or EII to VVV. Default: full.")
    ] = None,
    criterion: Annotated[Criterion, typer.Option(help="The lowest value wins.")] = Criterion.BIC,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Same seed, same result.")] = 0,
    n_init: Annotated[int | None, typer.Option(min=1, help="Starts of each model; the best is kept.")] = None,
    max_iter: Annotated[int | None, typer.Option(min=1, help="Largest number of iterations.")] = None,
    tol: Annotated[float | None, typer.Option(min=0, callback=_finite, help="Tolerance of convergence.")] = None,
    convergence: Annotated[
        Convergence | None, typer.Option(help="What to compare with --tol. Default: the bound's change.")
    ] = None,
    reg_covar: Annotated[float | None, typer.Option(min=0, callback=_finite, help="Added to the variances.")] = None,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Save the best model: .json")] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write each row's component: .csv or .parquet")
    ] = None,
    plot: Annotated[str | None, typer.Option(metavar="FILE", help="Draw the best model: .png, .pdf, .svg")] = None,
) -> None:
    """Fit mixtures with each number of components and show the best."""
    from fastem.cli import fitting, selection
    from fastem.cli.errors import CommandError
    from fastem.cli.reading import Wanted
    from fastem.cli.writing import Outputs

    if reg_covar is not None and not FAMILIES[family].forms:
        raise CommandError(f"--reg-covar is for Gaussian components, not --family {family}")
    search = Search(
        family=family,
        counts=parse_counts(counts),
        covariances=parse_covariances(covariance, family),
        criterion=criterion,
        parameters=selection.parameters(
            random_state=seed,
            n_init=n_init,
            max_iter=max_iter,
            tol=tol,
            convergence=None if convergence is None else convergence.value,
            reg_covar=reg_covar,
        ),
    )
    wanted = Wanted(None if columns is None else split_names(columns), weights)
    fitting.run(data, wanted, search, Outputs(output, labels, plot))


@application.command()
def warmup() -> None:
    """Compile everything into the disk cache, so that no fit has to wait for the compiler."""
    from fastem.warmup import warmup as compile_all

    total = 0.0

    def report(label: str, seconds: float) -> None:
        nonlocal total
        total += seconds
        typer.echo(f"{seconds:8.2f} s  {label}")

    compile_all(report)
    typer.echo(f"{total:8.2f} s  in all")


@application.command()
def info() -> None:
    """Show versions, processor, threads and cache."""
    from fastem.cli.errors import printable
    from fastem.environment import environment

    facts = environment()
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name:{width}}  {printable(value)}")
