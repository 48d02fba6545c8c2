from traitscope.corpora import load_corpus as load_corpus
from traitscope.evaluation.assessment import evaluate_predictions as evaluate_predictions
from traitscope.evaluation.comparison import compare_systems as compare_systems
from traitscope.evaluation.fusion import fuse as fuse
from traitscope.experiments.search import tune as tune
from traitscope.features.imports import import_features as import_features
from traitscope.interface import Predictions as Predictions
from traitscope.interface import Run as Run
from traitscope.interface import evaluate as evaluate
from traitscope.interface import explain as explain
from traitscope.interface import predict as predict
from traitscope.interface import prepare as prepare
from traitscope.interface import train as train
from traitscope.predictor import Predictor as Predictor
from traitscope.report.page import write_report as write_report
from traitscope.runs.conversion import convert as convert

__version__: str
