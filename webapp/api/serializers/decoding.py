"""What the addresses of decoding read and answer; the methods themselves check what the values mean."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from webapp.api.serializers.fields import Choice, JsonObject, StrictSerializer, several, text, whole
from webapp.api.serializers.transport import Values

TASKS = ("molecule", "description", "continue")
MOST_CHARACTERS, MOST_LANES = 20_000, 4


class RewardBody(JsonObject):
    """A reward by name with its parameters; rewards may stand in rewards."""

    max_bytes = 40_000


@extend_schema_field({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
class Interval(serializers.Field):
    """Two numbers, or null."""

    def to_representation(self, value: Any) -> Any:
        """As it is."""
        return value


class LaneBody(StrictSerializer):
    """One method."""

    method = text(40, help_text="By name; GET decoding/ lists them.")
    parameters = Values(required=False, help_text="By name; the rest keep their defaults.")


class DecodingBody(StrictSerializer):
    """A prompt, and the methods that answer it one after another."""

    task = Choice(
        TASKS,
        default="molecule",
        help_text="molecule: for a text; description: of a molecule; continue: any text.",
    )
    prompt = text(MOST_CHARACTERS, help_text="A description, a SMILES, or the beginning of a text.")
    lanes = several(LaneBody(), MOST_LANES, min_length=1, help_text="Methods, up to four.")
    sampling = Values(
        required=False,
        help_text="max_tokens, temperature, top_k, top_p and penalties; GET decoding/ has limits.",
    )
    reward = RewardBody(
        required=False,
        allow_null=True,
        help_text='What guided methods go for, as {"name": "qed"}; all are scored.',
    )
    seed = whole(0, 2**31 - 1, default=0, help_text="The same seed gives the same answers.")
    alternatives = whole(0, 10, default=0, help_text="Likeliest tokens to tell with each that is emitted.")
    repeats = whole(1, 20, default=1, help_text="Runs of each lane, for the interval of its speed.")


class ModelAnswer(serializers.Serializer):
    name = serializers.CharField()
    hash = serializers.CharField(help_text="sha256 of the weights.")
    version = serializers.IntegerField(help_text="0 for a model that ships with Ferry.")
    parameters = serializers.IntegerField(allow_null=True, help_text="Number of weights.")
    note = serializers.CharField(
        help_text="What is to be said of it: a draft that was distilled from another target."
    )


class ModelsAnswer(serializers.Serializer):
    target = ModelAnswer(allow_null=True)
    draft = ModelAnswer(allow_null=True)
    aligned = ModelAnswer(allow_null=True)


class ModelsInUse(ModelsAnswer):
    faults = serializers.DictField(child=serializers.CharField(), help_text="By slot, why there is none.")
    tasks = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        help_text="What the target was trained for, if it says.",
    )


class OptionAnswer(serializers.Serializer):
    name = serializers.CharField()
    type = serializers.CharField(help_text="int, float, bool or str.")
    default = serializers.JSONField()
    help = serializers.CharField()
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)
    choices = serializers.ListField(child=serializers.CharField())


class DecodingTask(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    help = serializers.CharField()


class DecodingMethod(DecodingTask):
    needs = serializers.ListField(
        child=serializers.CharField(), help_text="Models beside the target, and reward."
    )
    exact = serializers.BooleanField(help_text="Whether answers have the target's own law.")
    parameters = OptionAnswer(many=True)


class RewardParameter(serializers.Serializer):
    name = serializers.CharField()
    type = serializers.CharField()
    default = serializers.JSONField()
    help = serializers.CharField()
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)
    required = serializers.BooleanField()


class RewardAnswer(DecodingTask):
    range = Interval(allow_null=True, help_text="null: it depends on the parts.")
    nested = serializers.CharField(allow_null=True, help_text="The parameter that holds other rewards.")
    parameters = RewardParameter(many=True)


class TokenKind(serializers.Serializer):
    name = serializers.CharField()
    help = serializers.CharField()


class DecodingLimits(serializers.Serializer):
    lanes = serializers.IntegerField()
    characters = serializers.IntegerField(help_text="Of the prompt.")


class DescribeDecoding(serializers.Serializer):
    tasks = DecodingTask(many=True)
    methods = DecodingMethod(many=True)
    sampling = OptionAnswer(many=True)
    rewards = RewardAnswer(many=True)
    kinds = TokenKind(many=True, help_text="Of tokens.")
    formulae = serializers.DictField(child=serializers.CharField(), help_text="Of rates, from the counts.")
    defaults = serializers.DictField(help_text="A request to begin with.")
    options = OptionAnswer(many=True, help_text="Of a request as a whole.")
    limits = DecodingLimits()
    exactness = serializers.CharField()
    models = ModelsInUse(allow_null=True, help_text="null where there is no language model.")


class LaneEstimate(serializers.Serializer):
    lane = serializers.IntegerField()
    memory_bytes = serializers.IntegerField(help_text="Of keys and values.")
    seconds = serializers.FloatField(help_text="With an answer of usual length.")
    seconds_at_most = serializers.FloatField(help_text="With the longest answer, and no accepted draft.")


class DecodingEstimate(serializers.Serializer):
    prompt_tokens = serializers.IntegerField()
    answer_tokens = serializers.IntegerField(help_text="At most.")
    lanes = LaneEstimate(many=True)
    memory_bytes = serializers.IntegerField()
    seconds = serializers.FloatField()
    seconds_at_most = serializers.FloatField()
    sentence = serializers.CharField()


class LaneFacts(serializers.Serializer):
    method = serializers.CharField()
    title = serializers.CharField()
    parameters = serializers.DictField()


class PromptFacts(serializers.Serializer):
    tokens = serializers.IntegerField()
    text = serializers.CharField()


class DecodingOpened(serializers.Serializer):
    event = serializers.CharField(help_text="opened")
    lanes = LaneFacts(many=True)
    models = ModelsAnswer()
    prompt = PromptFacts()
    seed = serializers.IntegerField()
    exactness = serializers.CharField()


class MoleculeFacts(serializers.Serializer):
    smiles = serializers.CharField()
    valid = serializers.BooleanField()
    formula = serializers.CharField(allow_null=True)
    weight = serializers.FloatField(allow_null=True, help_text="g/mol")
    qed = serializers.FloatField(allow_null=True)
    logp = serializers.FloatField(allow_null=True, help_text="Crippen's estimate.")
    reward = serializers.FloatField(allow_null=True)
    depiction = serializers.JSONField(allow_null=True, help_text="Always null; POST depict/ draws it.")


class DecodingRates(serializers.Serializer):
    block_efficiency = serializers.FloatField(help_text="Tokens a target call.")
    acceptance = serializers.FloatField()
    tokens_per_second = serializers.FloatField()


class DecodingDone(serializers.Serializer):
    event = serializers.CharField(help_text="done")
    lane = serializers.IntegerField()
    text = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(help_text="end, length or context.")
    counts = serializers.DictField(help_text="Raw counts, and the seconds of each part.")
    rates = DecodingRates()
    formulae = serializers.DictField(child=serializers.CharField())
    parameters = serializers.DictField(help_text="As used, automatic choices made.")
    molecule = MoleculeFacts(allow_null=True)
    reward = serializers.FloatField(allow_null=True)
    kl = serializers.FloatField(allow_null=True, help_text="Divergence from the target's law, nats.")


class LaneCompared(serializers.Serializer):
    lane = serializers.IntegerField()
    speedup = serializers.FloatField(
        allow_null=True, help_text="Tokens per second over those of plain sampling."
    )
    interval = Interval(allow_null=True, help_text="95 %, where there are repeats.")
    n = serializers.IntegerField(help_text="Runs.")
    sentence = serializers.CharField()


class DecodingClosed(serializers.Serializer):
    event = serializers.CharField(help_text="closed")
    comparison = LaneCompared(many=True)


class DecodingAnswer(serializers.Serializer):
    opened = DecodingOpened()
    lanes = DecodingDone(many=True)
    closed = DecodingClosed(allow_null=True)


class FrontierRow(serializers.Serializer):
    method = serializers.CharField()
    alpha = serializers.FloatField(required=False, help_text="Of a guided method.")
    n = serializers.IntegerField(required=False, help_text="Of best-of-N.")
    reward = serializers.FloatField()
    kl = serializers.FloatField(allow_null=True, help_text="Nats.")
    tokens = serializers.FloatField(help_text="Generated for one answer, those not told included.")
    answers = serializers.IntegerField(help_text="That the row is the mean of.")


class FrontierAnswer(serializers.Serializer):
    rows = FrontierRow(many=True)
    matched = serializers.IntegerField(
        allow_null=True, help_text="The N that generates as many tokens as the guided method."
    )
    sentence = serializers.CharField(allow_blank=True)


class DecodingEvent(serializers.Serializer):
    """One event; which further fields it has depends on its name."""

    event = serializers.CharField(help_text="opened, drafted, token, done, closed, or problem.")
