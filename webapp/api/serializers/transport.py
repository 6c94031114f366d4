"""What the addresses of the transport laboratory read and answer; the laboratory itself checks what the values mean."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from webapp.api.serializers.fields import Choice, StrictSerializer, YesNo, text, whole

FILES = ("links.csv", "plan.npy", "plan.npz", "problem.npz")
MAX_FILE_TEXT = 3_900_000  # base64; the whole body has at most 4,000,000 bytes


class Values(serializers.DictField):
    """Names and plain values: numbers, words, true or false."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The values. Raises ValidationError naming one that is a list or an object."""
        values = super().to_internal_value(data)
        for name, value in values.items():
            if not isinstance(value, str | int | float) or len(str(value)) > 60:
                raise serializers.ValidationError({name[:40]: "Not a plain value. Give a number or a word."})
        return values


@extend_schema_field({"type": "array", "items": {"type": "array", "items": {"type": "number"}}})
class Rows(serializers.Field):
    """A table of numbers; its shape and its entries are checked all at once by the laboratory."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """The list. Raises ValidationError for anything else, and for rows that are no lists."""
        if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
            raise serializers.ValidationError("Not a table. Give a list of points, as [[0, 0], [1, 0.5]].")
        for number, row in enumerate(data, 1):
            if not all(type(value) in {int, float} for value in row):
                raise serializers.ValidationError(f"Point {number} has a coordinate that is no number.")
        return data

    def to_representation(self, value: Any) -> Any:
        """As it is."""
        return value


@extend_schema_field({"type": "array", "items": {"type": "number"}})
class Weights(serializers.Field):
    """A list of numbers."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """The list. Raises ValidationError for anything else."""
        if not isinstance(data, list) or not all(type(value) in {int, float} for value in data):
            raise serializers.ValidationError("Not a list of numbers. Give one weight for each point.")
        return data

    def to_representation(self, value: Any) -> Any:
        """As it is."""
        return value


class FileBody(StrictSerializer):
    """A file inside a JSON body."""

    name = text(200, help_text="Its name; the ending .csv, .npy or .npz says how it is read.")
    content = text(MAX_FILE_TEXT, help_text="Its bytes in base64. Nothing in it is ever unpickled.")


class CloudBody(StrictSerializer):
    """A weighted point cloud: one of ``sample``, ``points`` and ``file``."""

    sample = text(40, required=False, help_text="A sampled cloud by name; GET transport/solvers/ lists them.")
    n = whole(1, 100_000, required=False, help_text="With sample: how many points (60).")
    seed = whole(
        0,
        2**31 - 1,
        required=False,
        help_text="With sample: the seed; the same seed gives the same points (0).",
    )
    shift = Weights(required=False, help_text="With sample: [dx, dy] added to every point.")
    points = Rows(required=False, help_text="Coordinates, one list a point, up to 32 each.")
    weights = Weights(
        required=False, help_text="With points: masses, zero or more; without it all count alike."
    )
    file = FileBody(required=False)


class SolverBody(StrictSerializer):
    """A solver and its parameters."""

    solver = text(40, help_text="Name of the solver.")
    parameters = Values(required=False, help_text="Its parameters by name; the rest keep their defaults.")


class ProblemBody(StrictSerializer):
    """Two clouds, a cost, a solver."""

    source = CloudBody(help_text="Where mass is.")
    target = CloudBody(help_text="Where it has to go.")
    cost = text(40, default="squared_euclidean", help_text="Ground cost by name.")
    cost_parameters = Values(required=False, help_text="Parameters of the cost by name.")
    solver = text(40, default="sinkhorn", help_text="Solver by name.")
    parameters = Values(required=False, help_text="Parameters of the solver by name.")
    against = SolverBody(required=False, help_text="A second solver, to be compared on the same problem.")


class PlanBody(ProblemBody):
    check = YesNo(
        default=False,
        help_text="Whether to solve with another library (POT or SciPy) too and compare.",
    )
    links = whole(0, 50_000, default=400, help_text="How many of the strongest links to list.")
    matrix = whole(1, 256, default=48, help_text="Cells a side of the picture of the plan.")


class PlanFileBody(ProblemBody):
    format = Choice(
        FILES, required=True, help_text="links.csv, plan.npy, plan.npz (with potentials) or problem.npz."
    )


class SweepBody(StrictSerializer):
    """Two clouds and a cost."""

    source = CloudBody(help_text="Where mass is.")
    target = CloudBody(help_text="Where it has to go.")
    cost = text(40, default="squared_euclidean", help_text="Ground cost by name.")
    cost_parameters = Values(required=False, help_text="Parameters of the cost by name.")


class MapBody(SweepBody):
    """Two clouds of the plane and a cost, for a map that carries every point."""

    parameters = Values(
        required=False,
        help_text="strength of the Monge gap (λ, 0 to 10, 0.3), seconds at most (1 to 20, 15), seed (0).",
    )


class SweepRow(serializers.Serializer):
    share = serializers.FloatField(help_text="ε as a share of the mean cost.")
    epsilon = serializers.FloatField(help_text="ε, absolute.")
    cost = serializers.FloatField(allow_null=True)
    excess = serializers.FloatField(allow_null=True, help_text="Cost above the exact one.")
    blur = serializers.FloatField(allow_null=True, help_text="In the unit of the coordinates.")
    fan_out = serializers.FloatField(allow_null=True, help_text="Targets among which a source point divides.")
    error = serializers.FloatField(allow_null=True, help_text="The larger marginal error.")
    iterations = serializers.IntegerField()
    seconds = serializers.FloatField()
    converged = serializers.BooleanField()


class SweepAnswer(serializers.Serializer):
    exact = serializers.FloatField(help_text="Cost of the exact plan.")
    rows = SweepRow(many=True)


class MapFigures(serializers.Serializer):
    """On points that the training does not see."""

    divergence = serializers.FloatField(help_text="Sinkhorn divergence of the image from the target.")
    gap = serializers.FloatField(help_text="Monge gap above that of the identity at the same ε.")


class MapHeldOut(serializers.Serializer):
    identity = MapFigures()
    map = MapFigures()


class MapEnd(MapFigures):
    """Where the training ended."""

    step = serializers.IntegerField()
    steps = serializers.IntegerField()
    seconds = serializers.FloatField()
    lattice = serializers.JSONField(help_text="Images of a lattice over the source: rows of points [x, y].")
    images = Rows(help_text="Images of the first points of the source.")
    last = serializers.BooleanField()


class MapCloud(serializers.Serializer):
    recipe = serializers.DictField(help_text="A sampled cloud is drawn with at least 1,000 points.")
    n = serializers.IntegerField()
    points = Rows(help_text="The first of them.")


class MapCost(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    parameters = serializers.DictField()


class MapProblem(serializers.Serializer):
    source = MapCloud()
    target = MapCloud()
    cost = MapCost()


class MapAnswer(serializers.Serializer):
    problem = MapProblem()
    parameters = serializers.DictField()
    estimate = serializers.CharField()
    held_out = MapHeldOut()
    map = MapEnd()
    seconds = serializers.FloatField(help_text="Of the whole answer.")


class MapEstimate(serializers.Serializer):
    source_points = serializers.IntegerField()
    target_points = serializers.IntegerField()
    steps = serializers.IntegerField()
    memory_bytes = serializers.IntegerField()
    seconds = serializers.FloatField(help_text="As expected; good to a factor of about three.")
    seconds_at_most = serializers.FloatField(help_text="The training ends then, finished or not.")
    sentence = serializers.CharField()


class CloudAnswer(serializers.Serializer):
    recipe = serializers.DictField(help_text="Where the points come from; a sampled cloud with its seed.")
    n = serializers.IntegerField()
    dimension = serializers.IntegerField()
    mass = serializers.FloatField(help_text="Sum of the weights as given.")
    weighted = serializers.BooleanField(help_text="False where all points count alike.")
    points = Rows(help_text="The first two coordinates.")
    weights = Weights(help_text="Shares of the mass.")


class CostAnswer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    formula = serializers.CharField()
    parameters = serializers.DictField()
    rows = serializers.IntegerField()
    columns = serializers.IntegerField()
    least = serializers.FloatField(allow_null=True)
    mean = serializers.FloatField(allow_null=True)
    greatest = serializers.FloatField(allow_null=True)
    deviation = serializers.FloatField(allow_null=True)


class ProblemAnswer(serializers.Serializer):
    """The problem as it was understood."""

    source = CloudAnswer()
    target = CloudAnswer()
    cost = CostAnswer()
    mass = Weights(help_text="Sums of both marginals as the solver got them.")
    scaled = serializers.BooleanField()
    note = serializers.CharField(help_text="What was scaled, in words; empty if nothing was.")


class SolverAnswer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    objective = serializers.CharField()
    parameters = serializers.DictField()
    regulariser = serializers.CharField(help_text="What was added to the cost, in absolute terms.")


class StatusAnswer(serializers.Serializer):
    name = serializers.CharField(help_text="converged, iteration limit, stalled or not finite.")
    converged = serializers.BooleanField()
    sentence = serializers.CharField()
    remedy = serializers.CharField()


class QuantityAnswer(serializers.Serializer):
    label = serializers.CharField()
    unit = serializers.CharField()
    formula = serializers.CharField()


class LinksAnswer(serializers.Serializer):
    """shown + left_out = of."""

    links = Rows(help_text="[row, column, mass], strongest first.")
    shown = serializers.IntegerField()
    of = serializers.IntegerField(help_text="Entries of the plan above 1e-9 of the mass.")
    left_out = serializers.IntegerField()
    share = serializers.FloatField(help_text="Share of the mass in the links shown.")


class MatrixAnswer(serializers.Serializer):
    cells = Rows(help_text="Masses of blocks of the plan.")
    rows = serializers.IntegerField()
    columns = serializers.IntegerField()
    of_rows = serializers.IntegerField()
    of_columns = serializers.IntegerField()
    order = serializers.CharField(help_text="What rows and columns are ordered by.")
    largest = serializers.FloatField()


class SupportAnswer(serializers.Serializer):
    """How many links every point has."""

    rows = serializers.ListField(child=serializers.IntegerField(), help_text="Of every source point.")
    columns = serializers.ListField(child=serializers.IntegerField(), help_text="Of every target point.")


class CrosscheckAnswer(serializers.Serializer):
    library = serializers.CharField()
    call = serializers.CharField()
    quantity = serializers.CharField(
        help_text="What is compared: cost, or dual value of a quadratic problem."
    )
    cost = serializers.FloatField(allow_null=True, help_text="Theirs of it.")
    difference = serializers.FloatField(allow_null=True)
    tolerance = serializers.FloatField()
    agrees = serializers.BooleanField(allow_null=True, help_text="null: the other library did not converge.")
    note = serializers.CharField()


class OneAnswer(serializers.Serializer):
    """One solver's answer."""

    solver = SolverAnswer()
    status = StatusAnswer()
    numbers = serializers.DictField(
        child=serializers.FloatField(allow_null=True), help_text="By name; quantities says what each is."
    )
    quantities = serializers.DictField(child=QuantityAnswer())
    device = serializers.CharField()
    dtype = serializers.CharField()
    plan = LinksAnswer()
    support = SupportAnswer()
    matrix = MatrixAnswer()
    code = serializers.DictField(
        child=serializers.CharField(), help_text="The same problem in POT and, where it can, ott-jax."
    )
    check = CrosscheckAnswer(allow_null=True)


class DifferenceAnswer(serializers.Serializer):
    moved = serializers.FloatField(help_text="Share of the mass that lies elsewhere: |P - Q| / (|P| + |Q|).")
    largest = serializers.FloatField(help_text="The largest difference of an entry.")
    cost = serializers.FloatField(help_text="Cost of the second minus cost of the first.")
    excess_over_exact = Weights(
        help_text="Cost of either above the exact one, where one of the two is exact."
    )


class PlanAnswer(OneAnswer):
    problem = ProblemAnswer()
    estimate = serializers.CharField()
    against = OneAnswer(required=False, help_text="Only with against.")
    difference = DifferenceAnswer(required=False, help_text="Only with against.")


class EstimateAnswer(serializers.Serializer):
    source_points = serializers.IntegerField()
    target_points = serializers.IntegerField()
    dimension = serializers.IntegerField()
    entries = serializers.IntegerField(help_text="Of the cost matrix.")
    memory_bytes = serializers.IntegerField()
    seconds = serializers.FloatField(help_text="As expected; good to a factor of about three.")
    seconds_at_most = serializers.FloatField(help_text="With every iteration used.")
    sentence = serializers.CharField()


class ParameterAnswer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    kind = serializers.CharField(help_text="number, whole, choice or yes.")
    default = serializers.JSONField()
    words = serializers.CharField()
    least = serializers.FloatField(allow_null=True)
    most = serializers.FloatField(allow_null=True)
    choices = serializers.ListField(child=serializers.CharField())
    strength = serializers.BooleanField(
        help_text="A share of the statistic of the costs that `relative` names."
    )
    endless = serializers.BooleanField(help_text='May also be "inf".')


class NamedAnswer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()
    words = serializers.CharField()


class SolverKind(NamedAnswer):
    objective = serializers.CharField()
    balanced = serializers.BooleanField(
        help_text="Whether all mass is carried; both weights are then scaled to 1."
    )
    parameters = ParameterAnswer(many=True)


class CostKind(NamedAnswer):
    formula = serializers.CharField()
    parameters = ParameterAnswer(many=True)


class LabLimits(serializers.Serializer):
    points = serializers.IntegerField(help_text="Of one cloud.")
    entries = serializers.IntegerField(help_text="Of the cost matrix.")
    dimension = serializers.IntegerField()
    file_bytes = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True, help_text="Estimated, with every iteration used.")
    links = serializers.IntegerField()
    matrix = serializers.IntegerField()


class SolversAnswer(serializers.Serializer):
    solvers = SolverKind(many=True)
    costs = CostKind(many=True)
    samples = NamedAnswer(many=True)
    limits = LabLimits()


BINARY = {
    (200, "text/csv"): OpenApiTypes.STR,
    (200, "application/octet-stream"): OpenApiTypes.BINARY,
}
