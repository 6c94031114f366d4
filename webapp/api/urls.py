"""Addresses below /api/."""

from __future__ import annotations

from django.urls import include, path, re_path
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from webapp.api.views.datasets import DataSetsView, DataSetView
from webapp.api.views.decoding import (
    DecodingEstimateView,
    DecodingFrontierView,
    DecodingGenerateView,
    DecodingStreamView,
    DecodingView,
)
from webapp.api.views.depiction import DepictView
from webapp.api.views.explanation import ComparisonView, ExplanationView
from webapp.api.views.export import ExportView
from webapp.api.views.fallback import FallbackView
from webapp.api.views.following import JobEventsView, JobMetricsView
from webapp.api.views.jobs import (
    JobActionsView,
    JobCloneView,
    JobResumeView,
    JobStopView,
    JobsView,
    JobView,
    KindsView,
)
from webapp.api.views.libraries import LibrariesView, LibraryView
from webapp.api.views.models import (
    ModelCompareView,
    ModelPromoteView,
    ModelRetireView,
    ModelRollBackView,
    ModelsView,
    ModelView,
    PromotionsView,
)
from webapp.api.views.molecules import MoleculeView, NeighboursView
from webapp.api.views.search import SearchView, SuggestView
from webapp.api.views.status import StatusView
from webapp.api.views.structures import DescribeView, LookupView
from webapp.api.views.transport import (
    TransportEstimateView,
    TransportFileView,
    TransportMapEstimateView,
    TransportMapView,
    TransportPlanView,
    TransportSolversView,
    TransportSweepView,
)
from webapp.api.views.uploads import RefusedView, UploadView

app_name = "api"
ONE_HOUR = 3_600

v1 = [
    path("search/", SearchView.as_view(), name="search"),
    path("suggest/", SuggestView.as_view(), name="suggest"),
    path(
        "molecules/<str:library>/<path:identifier>/neighbours/", NeighboursView.as_view(), name="neighbours"
    ),
    path("molecules/<str:library>/<path:identifier>/", MoleculeView.as_view(), name="molecule"),
    path("depict/", DepictView.as_view(), name="depict"),
    path("structures/describe/", DescribeView.as_view(), name="describe"),
    path("explanation/", ExplanationView.as_view(), name="explanation"),
    path("comparison/", ComparisonView.as_view(), name="comparison"),
    path("lookup/", LookupView.as_view(), name="lookup"),
    path("export/", ExportView.as_view(), name="export"),
    path("libraries/", LibrariesView.as_view(), name="libraries"),
    path("libraries/<str:library>/", LibraryView.as_view(), name="library"),
    path("uploads/<str:token>/", UploadView.as_view(), name="upload"),
    path("uploads/<str:token>/refused/", RefusedView.as_view(), name="upload-refused"),
    path("jobs/", JobsView.as_view(), name="jobs"),
    path("jobs/kinds/", KindsView.as_view(), name="job-kinds"),
    path("jobs/actions/", JobActionsView.as_view(), name="job-actions"),
    path("jobs/<str:job>/", JobView.as_view(), name="job"),
    path("jobs/<str:job>/stop/", JobStopView.as_view(), name="job-stop"),
    path("jobs/<str:job>/resume/", JobResumeView.as_view(), name="job-resume"),
    path("jobs/<str:job>/clone/", JobCloneView.as_view(), name="job-clone"),
    path("jobs/<str:job>/metrics/", JobMetricsView.as_view(), name="job-metrics"),
    path("jobs/<str:job>/events/", JobEventsView.as_view(), name="job-events"),
    path("models/", ModelsView.as_view(), name="models"),
    path("models/compare/", ModelCompareView.as_view(), name="models-compare"),
    path("models/roll-back/", ModelRollBackView.as_view(), name="models-roll-back"),
    path("models/retire/", ModelRetireView.as_view(), name="models-retire"),
    path("models/promotions/", PromotionsView.as_view(), name="promotions"),
    path("models/<int:version>/", ModelView.as_view(), name="model"),
    path("models/<int:version>/promote/", ModelPromoteView.as_view(), name="model-promote"),
    path("datasets/", DataSetsView.as_view(), name="datasets"),
    path("datasets/<path:name>/", DataSetView.as_view(), name="dataset"),
    path("status/", StatusView.as_view(), name="status"),
    path("transport/plan/", TransportPlanView.as_view(), name="transport-plan"),
    path("transport/estimate/", TransportEstimateView.as_view(), name="transport-estimate"),
    path("transport/file/", TransportFileView.as_view(), name="transport-file"),
    path("transport/sweep/", TransportSweepView.as_view(), name="transport-sweep"),
    path("transport/map/", TransportMapView.as_view(), name="transport-map"),
    path("transport/map/estimate/", TransportMapEstimateView.as_view(), name="transport-map-estimate"),
    path("transport/solvers/", TransportSolversView.as_view(), name="transport-solvers"),
    path("decoding/", DecodingView.as_view(), name="decoding"),
    path("decoding/estimate/", DecodingEstimateView.as_view(), name="decoding-estimate"),
    path("decoding/generate/", DecodingGenerateView.as_view(), name="decoding-generate"),
    path("decoding/stream/", DecodingStreamView.as_view(), name="decoding-stream"),
    path("decoding/frontier/", DecodingFrontierView.as_view(), name="decoding-frontier"),
]

urlpatterns = [
    path("v1/", include(v1)),
    path("schema/", cache_page(ONE_HOUR)(SpectacularJSONAPIView.as_view()), name="schema"),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(url_name="api:schema", template_name="api/docs.html"),
        name="docs",
    ),
    re_path(r"^(?P<path>.*)$", FallbackView.as_view(), name="fallback"),
]
