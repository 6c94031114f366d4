"""The shapes of the answers, for the OpenAPI schema. The values come from the inference door as they are."""

from __future__ import annotations

from rest_framework import serializers


def _text(**options: object) -> serializers.CharField:
    return serializers.CharField(**options)


def _texts(**options: object) -> serializers.ListField:
    return serializers.ListField(child=serializers.CharField(), **options)


def _number(**options: object) -> serializers.FloatField:
    return serializers.FloatField(**options)


def _whole(**options: object) -> serializers.IntegerField:
    return serializers.IntegerField(**options)


class Alternative(serializers.Serializer):
    read_as = _text()
    label = _text(help_text="The reading in words, as on the page.")


class QueryRead(serializers.Serializer):
    """The question as understood."""

    text = _text()
    kind = _text(help_text="prose, name, formula, smiles, inchi, inchikey, molfile, smarts, cas or id.")
    label = _text(help_text="The same in words.")
    alternatives = Alternative(many=True, help_text="Other ways to read the same text: pass one as read_as.")
    canonical = _text(allow_null=True, help_text="Canonical SMILES of a structure query.")
    smiles = _text(allow_null=True)
    inchikey = _text(allow_null=True)
    formula = _text(allow_null=True)
    smarts = _text(allow_null=True)
    corrected = _text(allow_null=True, help_text="The spelling that was searched instead, if any.")
    notes = _texts()


class Molecule(serializers.Serializer):
    id = _text()
    name = _text()
    smiles = _text(help_text="As uploaded.")
    standard_smiles = _text(
        help_text="The parent: counter-ions and solvents removed, neutralised; canonical."
    )
    standardisation = _texts(
        help_text="The steps from smiles to standard_smiles, in words; none if it is the same."
    )
    inchikey = _text()
    formula = _text()
    weight = _number(help_text="Average molecular weight, g/mol.")
    exact_mass = _number(help_text="Monoisotopic mass, Da.")
    logp = _number(help_text="Crippen logP.")
    tpsa = _number(help_text="Topological polar surface area, Å².")
    hbd = _whole(help_text="Hydrogen-bond donors.")
    hba = _whole(help_text="Hydrogen-bond acceptors.")
    rings = _whole()
    charge = _whole()
    stereocentres = _whole()
    heavy_atoms = _whole()
    rotatable = _whole(help_text="Rotatable bonds.")
    description = _text()
    synonyms = _texts()
    category = _text()


class Parts(serializers.Serializer):
    sentence = _number(allow_null=True)
    phrase = _number(allow_null=True)
    token = _number(allow_null=True)


class Matched(serializers.Serializer):
    channels = _texts(help_text="Which rankings found it: meaning, name, structure, formula.")
    words = _texts(help_text="Words of the query found in this row.")
    linked = _texts(help_text="Words of the query that the model ties most strongly to this molecule.")
    how = _text(
        allow_null=True,
        help_text="For names and structures, how it fits: exact, corrected, same parent, tautomer …",
    )
    similarity = _number(allow_null=True, help_text="Tanimoto similarity to a structure query, 0 to 1.")
    parts = Parts(allow_null=True)


class Hit(serializers.Serializer):
    rank = _whole()
    score = _number(help_text="Calibrated, 0 to 1.")
    score_words = _text(help_text="very likely, likely, possible or unlikely.")
    library = _text()
    also_in = _texts(help_text="Other libraries that hold the same molecule.")
    molecule = Molecule()
    matched = Matched()


class Verdict(serializers.Serializer):
    level = serializers.ChoiceField(choices=["found", "doubtful", "absent"])
    text = _text()


class LibraryUsed(serializers.Serializer):
    id = _text()
    name = _text()
    size = _whole()
    fingerprint = _text(help_text="Changes with the content; with the model's it pins an answer.")


class NumberFacet(serializers.Serializer):
    name = _text(help_text="A property, by its name as a filter.")
    min = _number()
    max = _number()
    edges = serializers.ListField(child=serializers.FloatField(), help_text="Ends of the bars, ascending.")
    counts = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="Hits from edges[i] up to, not including, edges[i + 1]; the last bar has its end.",
    )


class LibraryFacet(serializers.Serializer):
    id = _text()
    name = _text()
    count = _whole(help_text="Hits that it holds; one that several libraries hold counts in each.")


class Facets(serializers.Serializer):
    """How all hits of the search are spread, not only those of one page."""

    total = _whole()
    numbers = NumberFacet(many=True)
    categories = serializers.DictField(
        child=serializers.IntegerField(), help_text="Hits in each category, the largest first."
    )
    libraries = LibraryFacet(many=True)


class SearchAnswer(serializers.Serializer):
    query = QueryRead()
    hits = Hit(many=True)
    total = _whole(help_text="Molecules left after the filters (for prose: molecules ranked).")
    offset = _whole()
    k = _whole()
    sort = _text()
    filters = serializers.DictField(child=serializers.CharField(), help_text="The filters as they were read.")
    verdict = Verdict()
    libraries = LibraryUsed(many=True)
    model = _text(help_text="sha256 of the model's weights.")
    facets = Facets(required=False, help_text="Only with facets=true.")
    took_ms = _number()
    notes = _texts()


class Suggestion(serializers.Serializer):
    text = _text(help_text="What to put into the search box.")
    name = _text(help_text="The molecule it leads to.")
    library = _text()
    id = _text()


class SuggestAnswer(serializers.Serializer):
    suggestions = Suggestion(many=True)


class Motif(serializers.Serializer):
    index = _whole()
    label = _text()
    smiles = _text()
    atoms = serializers.ListField(
        child=serializers.IntegerField(), help_text="Atom indices in the stored SMILES."
    )


class MoleculeFull(Molecule):
    inchi = _text()
    descriptions = _texts()
    source = _text()
    properties = serializers.DictField(child=serializers.FloatField())
    motifs = Motif(many=True)


class MoleculeAnswer(serializers.Serializer):
    library = _text()
    library_name = _text()
    molecule = MoleculeFull()


class NeighboursAnswer(serializers.Serializer):
    library = _text()
    id = _text()
    molecule = Molecule()
    hits = Hit(many=True)
    took_ms = _number()


class MoleculeBrief(serializers.Serializer):
    id = _text()
    name = _text()
    smiles = _text()


class Word(serializers.Serializer):
    index = _whole()
    text = _text()
    start = _whole(help_text="First character in the query.")
    end = _whole(help_text="One past the last character.")
    telling = serializers.BooleanField(help_text="False for little words, as a, of, that.")


class Link(serializers.Serializer):
    word = _whole()
    motif = _whole()
    mass = _number(help_text="Share of all mass: an entry of the plan.")
    pull = _number(help_text="The mass times the cosine of word and motif.")


class Score(serializers.Serializer):
    total = _number()
    sentence = _number()
    phrase = _number()
    token = _number()


class ExplanationAnswer(serializers.Serializer):
    text = _text()
    molecule = MoleculeBrief()
    words = Word(many=True)
    motifs = Motif(many=True)
    plan = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()),
        help_text="Transport plan, words × motifs; a row sums to the share of its word.",
    )
    links = Link(many=True, help_text="Entries of the plan: by pull, those of telling words first.")
    atom_scores = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()), help_text="Words × atoms, 0 to 1."
    )
    score = Score()


class Compared(serializers.Serializer):
    molecule = MoleculeBrief()
    score = Score()


class PartDifference(serializers.Serializer):
    part = _text()
    first = _number()
    second = _number()


class WordDifference(serializers.Serializer):
    text = _text()
    first = _number()
    second = _number()
    favours = serializers.ChoiceField(choices=["first", "second", "neither"])


class ComparisonAnswer(serializers.Serializer):
    text = _text()
    first = Compared()
    second = Compared()
    differences = PartDifference(many=True)
    words = WordDifference(many=True)
    sentence = _text(help_text="The difference in plain words.")


class DescribingText(serializers.Serializer):
    text = _text()
    score = _number(help_text="How well it fits, 0 to 1.")
    own = serializers.BooleanField(help_text="True when the text was written for this very molecule.")
    library = _text()
    id = _text()
    name = _text()


class DescribeAnswer(serializers.Serializer):
    smiles = _text(help_text="The structure as read.")
    texts = DescribingText(many=True)


class LookupCandidate(serializers.Serializer):
    library = _text()
    id = _text()
    name = _text()
    smiles = _text()
    inchikey = _text()


class LookupItem(serializers.Serializer):
    item = _text()
    status = serializers.ChoiceField(choices=["found", "ambiguous", "not found"])
    kind = _text()
    matches = LookupCandidate(many=True)
    note = _text()


class LookupAnswer(serializers.Serializer):
    items = LookupItem(many=True)
    found = _whole()
    ambiguous = _whole()
    not_found = _whole()


class LibraryInfo(serializers.Serializer):
    id = _text()
    name = _text()
    size = _whole(help_text="Molecules in it.")
    fingerprint = _text(allow_blank=True)
    status = _text(help_text="ready, importing, retrying, stopped, failed or stale (built by another model).")
    mine = serializers.BooleanField(help_text="True when it is yours to delete.")


class LibraryList(serializers.Serializer):
    libraries = LibraryInfo(many=True)


class Refusal(serializers.Serializer):
    line = _whole()
    record = _whole()
    reason = _text()
    raw = _text()


class ImportReport(serializers.Serializer):
    """read = used + refused + duplicates, always; no more than the first refusals are listed."""

    read = _whole()
    used = _whole()
    refused = _whole()
    duplicates = _whole()
    refusals = Refusal(many=True)
    format = _text()
    columns = serializers.DictField(
        child=serializers.CharField(), help_text="What each column was taken for."
    )
    notes = _texts()
    sentence = _text(help_text="The counts in words.")
    dry_run = serializers.BooleanField()
    finished = serializers.BooleanField()
    seconds = _number()


class JobProblem(serializers.Serializer):
    message = _text()
    field = _text(allow_null=True)
    remedy = _text(allow_null=True)


class JobAnswer(serializers.Serializer):
    id = _text()
    kind = _text()
    state = serializers.ChoiceField(
        choices=["queued", "running", "stopping", "done", "failed", "stopped", "lost"]
    )
    done = _whole()
    total = _whole(allow_null=True)
    message = _text()
    problem = JobProblem(
        allow_null=True, help_text="What was wrong with what it was given, where it failed so."
    )
    library = _text(allow_null=True)
    upload = _text(allow_null=True, help_text="The token of the file that it reads.")


class StartedAnswer(serializers.Serializer):
    token = _text(
        help_text="Names the upload; send it back to import a checked file without sending it again."
    )
    job = JobAnswer()


class UploadAnswer(serializers.Serializer):
    token = _text()
    file = _text(help_text="What the file was called.")
    job = JobAnswer(allow_null=True, help_text="Its check; null for one that was imported unchecked.")
    report = ImportReport(allow_null=True, help_text="Null until the check is done.")
