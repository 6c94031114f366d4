"""What the addresses of jobs and data sets read, and the shapes of what they answer."""

from __future__ import annotations

from rest_framework import serializers

from webapp.api.serializers.answers import JobAnswer
from webapp.api.serializers.fields import (
    Choice,
    JobId,
    JsonObject,
    StrictSerializer,
    YesNo,
    several,
    text,
    whole,
)
from workers import kinds
from workers.models import Job

MAX_PAGE = 200
MAX_BULK = 100
LONGEST_WAIT = 25
STANDINGS = (
    *("queued", "starting", "running", "stopping", "lost contact"),
    *("done", "failed", "stopped", "lost"),
)
VERBS = ("stop", "resume", "clone", "delete")


class JobsParameters(StrictSerializer):
    """Which jobs to list; all given conditions hold together."""

    state = Choice(
        ("open", *Job.State.values), required=False, help_text="open: those that wait or run; else one state."
    )
    kind = Choice(tuple(kinds.KINDS), required=False, help_text="Only jobs of this kind.")
    mine = YesNo(
        default=False, help_text="Only your own. Without the role of a trainer you see no others anyhow."
    )
    text = text(120, required=False, help_text="Part of the name, in capitals or not.")
    offset = whole(0, 1_000_000, default=0, help_text="How many to skip.")
    k = whole(1, MAX_PAGE, default=50, help_text="How many to send.")


class JobBody(StrictSerializer):
    """A new job."""

    kind = Choice([kind.name for kind in kinds.offered()], required=True, help_text="See jobs/kinds/.")
    parameters = JsonObject(
        required=True,
        help_text="What the kind takes: data sets by the names of its slots, a preset, overrides of the preset's "
        "parameters. The JSON schema is in jobs/kinds/.",
    )
    name = text(120, required=False, allow_blank=True, help_text="What you will know it by.")


class CloneBody(StrictSerializer):
    """What is to be different in the new job."""

    changes = JsonObject(
        required=False, help_text="Parameters that replace those of the job; the others stay as they were."
    )
    name = text(120, required=False, allow_blank=True, help_text="Without it, the name of the job.")


class JobActionsBody(StrictSerializer):
    """One action for several jobs."""

    action = Choice(("stop", "resume", "delete"), required=True)
    jobs = several(
        JobId(),
        MAX_BULK,
        min_length=1,
        help_text=f"Ids of at most {MAX_BULK} jobs.",
    )


class MetricsParameters(StrictSerializer):
    most = whole(
        2, 2_000, default=1_000, help_text="At most so many points, evenly over the run, the last among them."
    )
    format = Choice(("json", "csv"), default="json")


class EventsParameters(StrictSerializer):
    after = whole(
        0,
        2**62,
        required=False,
        help_text="Only events after this number; for a reader that comes back, instead of Last-Event-ID.",
    )
    wait = whole(
        0,
        LONGEST_WAIT,
        required=False,
        help_text="Answer with JSON instead of a stream: at once if there is news, else after so many seconds.",
    )


class JobLine(JobAnswer):
    """A job in a list. Times are ISO 8601, durations in seconds."""

    name = serializers.CharField(allow_blank=True)
    title = serializers.CharField(help_text="Its kind in words.")
    queue = serializers.CharField()
    owner = serializers.CharField(allow_null=True, help_text="Who began it; null for Ferry itself.")
    standing = serializers.ChoiceField(
        choices=STANDINGS,
        help_text="The state as people say it; lost contact: its worker gives no sign of life.",
    )
    created = serializers.DateTimeField()
    started = serializers.DateTimeField(allow_null=True)
    finished = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True, help_text="From its start until its end, or until now.")
    rate = serializers.FloatField(allow_null=True, help_text="Steps a second, over the last minute.")
    seconds_left = serializers.FloatField(allow_null=True, help_text="At that rate.")
    epoch = serializers.FloatField(allow_null=True)
    metrics = serializers.DictField(
        child=serializers.FloatField(allow_null=True), help_text="The latest of each."
    )
    may = serializers.ListField(
        child=serializers.ChoiceField(choices=VERBS), help_text="What you may do with it now."
    )


class JobPage(serializers.Serializer):
    jobs = JobLine(many=True, help_text="The latest first.")
    total = serializers.IntegerField()
    offset = serializers.IntegerField()
    k = serializers.IntegerField()


class VersionMade(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class JobFull(JobLine):
    """Everything about a job, curves apart."""

    parameters = serializers.DictField()
    attempts = serializers.IntegerField(help_text="How often a worker has begun it since it was queued.")
    worker = serializers.CharField(allow_blank=True, help_text="host:process of who holds it.")
    heartbeat = serializers.DateTimeField(allow_null=True, help_text="The worker's last sign of life.")
    resources = serializers.DictField(help_text="Memory and processor that it uses, where it runs.")
    log = serializers.CharField(allow_blank=True, help_text="The last lines that it said.")
    error = serializers.CharField(allow_blank=True)
    ended_by = serializers.CharField(
        allow_blank=True, help_text="Who asked for the stop: an account, or the watchdog; empty: nobody did."
    )
    result = serializers.DictField()
    parent = serializers.CharField(allow_null=True, help_text="The job that it repeats with changes.")
    place = serializers.IntegerField(
        allow_null=True, help_text="How many come before it in its queue; null where it does not wait."
    )
    not_before = serializers.DateTimeField(
        allow_null=True, help_text="After a fault that passes: when it is tried again."
    )
    versions = VersionMade(many=True, help_text="Model versions that it made.")


class DataSlot(serializers.Serializer):
    name = serializers.CharField(help_text="The key in parameters.data.")
    help = serializers.CharField()
    required = serializers.BooleanField()


class Preset(serializers.Serializer):
    name = serializers.CharField()
    parameters = serializers.DictField(
        help_text="JSON schema of what overrides may hold: type, default, minimum, maximum, enum, description."
    )


class Outlook(serializers.Serializer):
    """What a new job would meet. Estimates are medians of recent jobs, null where there were none."""

    queue = serializers.CharField()
    waiting = serializers.IntegerField()
    running = serializers.IntegerField()
    workers = serializers.IntegerField(help_text="That listen to the queue; none: nothing begins for now.")
    begins_in = serializers.FloatField(allow_null=True, help_text="Seconds until it would begin.")
    takes = serializers.FloatField(allow_null=True, help_text="Seconds that it would run.")


class KindInfo(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    hours = serializers.FloatField(help_text="When the watchdog stops it, saved.")
    data = DataSlot(many=True)
    parameters = serializers.DictField(help_text="JSON schema of the parameters object of jobs/.")
    presets = Preset(many=True)
    outlook = Outlook()


class KindList(serializers.Serializer):
    kinds = KindInfo(many=True)


class Outcome(serializers.Serializer):
    id = serializers.CharField()
    done = serializers.BooleanField()
    message = serializers.CharField(help_text="What was done, or why it was left as it is.")


class JobActionsAnswer(serializers.Serializer):
    action = serializers.CharField()
    done = serializers.IntegerField(help_text="To how many it was done.")
    outcomes = Outcome(many=True, help_text="One for each job, in the order of the request.")


class CurvePoint(serializers.Serializer):
    attempt = serializers.IntegerField(
        help_text="Which claim of the job measured it; where it changes, it was resumed."
    )
    step = serializers.IntegerField()
    seconds = serializers.FloatField(help_text="Of work so far, all attempts together.")
    epoch = serializers.FloatField(allow_null=True)
    values = serializers.DictField(child=serializers.FloatField(allow_null=True))


class Curves(serializers.Serializer):
    metrics = serializers.ListField(child=serializers.CharField(), help_text="Names, as they first appeared.")
    points = CurvePoint(many=True)
    measured = serializers.IntegerField(help_text="How many points are stored.")


class JobEvent(serializers.Serializer):
    seq = serializers.IntegerField()
    data = serializers.DictField(
        help_text="state always; done, total, metrics, rate, seconds_left and resources with progress."
    )


class JobNews(serializers.Serializer):
    job = JobLine()
    events = JobEvent(many=True)
    after = serializers.IntegerField(help_text="Send it back as after to go on from here.")
    open = serializers.BooleanField(help_text="Whether more can follow.")


class StreamedEvent(serializers.Serializer):
    """One server-sent event."""

    event = serializers.ChoiceField(choices=["job", "news", "end"])
    data = serializers.CharField(help_text="A JSON object.")
    id = serializers.CharField(required=False, help_text="Of news: its number.")


class DataSetInfo(serializers.Serializer):
    name = serializers.CharField(help_text="How a job names it.")
    bytes = serializers.IntegerField()
    own = serializers.BooleanField(help_text="Uploaded here, so that it can be deleted here.")


class DataSetList(serializers.Serializer):
    datasets = DataSetInfo(many=True)
    endings = serializers.ListField(
        child=serializers.CharField(), help_text="What the name of an uploaded file may end with."
    )


class DataSetBody(StrictSerializer):
    """A file for trainings and evaluations."""

    file = serializers.FileField(
        required=True,
        allow_empty_file=True,
        help_text="It is known by the name of the file: letters, digits, dots and dashes.",
        error_messages={
            "required": "This is missing. Send the form as multipart/form-data with the file in 'file'.",
            "invalid": "Not a file. Send the form as multipart/form-data with the file in 'file'.",
        },
    )
