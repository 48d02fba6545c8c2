"""A report as a table, for notebooks: systems by metrics."""

from typing import TYPE_CHECKING, Any

from traitscope.config import Config

if TYPE_CHECKING:
    import pandas as pd


class Framed(Config):
    """What a report shows of itself."""

    def to_frame(self) -> "pd.DataFrame":
        """Systems by metrics over all scored clips; NaN where one is undefined."""
        # At the top this would be a circle: scoring imports the report, which is made of this.
        from traitscope.evaluation.scoring import macro_frame

        report: Any = self
        return macro_frame(report)

    def _repr_html_(self) -> str:
        return str(self.to_frame().round(3).to_html(border=0))
