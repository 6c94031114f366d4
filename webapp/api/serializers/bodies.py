"""What the addresses read from a request body."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from webapp.api.serializers.fields import (
    MAX_ID,
    MAX_NAME,
    Choice,
    Number,
    StrictSerializer,
    YesNo,
    several,
    text,
    whole,
)
from webapp.api.serializers.parameters import DepictOptions, SearchParameters, library_list
from webapp.search.vocabulary import EXPORT_FORMATS, MAX_EXPORT_HITS, MAX_LOOKUP, MAX_OFFSET, names

MAX_EXPORT = 5_000
FORMATS = names(EXPORT_FORMATS)


class DepictBody(DepictOptions):
    atoms = several(whole(0, 99_999), 1_000, required=False, help_text="Atom indices to highlight.")


class DescribeBody(StrictSerializer):
    """A structure whose descriptions are wanted."""

    structure = text(required=True, help_text="SMILES, InChI or molfile.")
    library = library_list(help_text="Library ids to read the texts from; without it, all that you may read.")
    k = whole(1, 100, default=10, help_text="How many texts to send.")


class LookupBody(StrictSerializer):
    """A list of names, SMILES, InChI or InChIKeys."""

    items = several(
        text(allow_blank=True), MAX_LOOKUP, min_length=1, help_text=f"At most {MAX_LOOKUP:,} entries."
    )
    library = library_list(help_text="Library ids to look in; without it, all that you may read.")


class RowName(StrictSerializer):
    """One molecule of one library; for a hit of a search also where it stood."""

    library = text(MAX_ID, required=True)
    id = text(MAX_ID, required=True)
    rank = whole(
        1, MAX_OFFSET + MAX_EXPORT_HITS, required=False, help_text="Its rank as a hit, for the file."
    )
    score = Number(min_value=0, max_value=1, required=False, help_text="Its score as a hit, for the file.")


class ExportSearch(SearchParameters):
    """The search whose hits are exported: more of them than a page shows, if wanted."""

    k = whole(1, MAX_EXPORT_HITS, default=20, help_text="How many hits to export.")
    facets = None  # a file has no room for them


class ExportBody(StrictSerializer):
    """Named rows, or the hits of a search."""

    format = Choice(FORMATS, required=True)
    rows = several(
        RowName(), MAX_EXPORT, required=False, min_length=1, help_text="Exactly these, in this order."
    )
    search = ExportSearch(required=False, help_text="Or the hits of this search, as shown.")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """At least one source of rows; with both, the rows go out and the search is named in the file."""
        if "rows" not in values and "search" not in values:
            raise serializers.ValidationError({"rows": "Nothing to export. Give rows, or a search."})
        return values


class LibraryBody(StrictSerializer):
    """A file of molecules to check or to import, or the token of one that was checked before."""

    file = serializers.FileField(
        required=False,
        allow_empty_file=True,
        help_text=".smi, .sdf, .csv or .tsv, gzipped or not.",
        error_messages={
            "invalid": "Not a file. Send the form as multipart/form-data with the file in 'file'."
        },
    )
    token = text(MAX_NAME, required=False, help_text="From an earlier dry run: imports that file.")
    name = text(MAX_NAME, required=False, trim_whitespace=True, help_text="Name of the new library.")
    dry_run = YesNo(
        default=False,
        help_text="True: only check the file; nothing is kept but the upload and its report, for a day.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """A file or a token, and a name unless it is a dry run."""
        if ("file" in values) == ("token" in values):
            raise serializers.ValidationError(
                {"file": "Send a file, or the token of a dry run: one of the two."}
            )
        if values["dry_run"] and "token" in values:
            raise serializers.ValidationError(
                {"dry_run": "That file has been checked. Send it without dry_run."}
            )
        if not values["dry_run"] and not values.get("name"):
            raise serializers.ValidationError({"name": "This is missing. Name the new library."})
        return values


class ExportParameters(ExportSearch):
    """Rows by name, or a search."""

    q = text(
        required=False, help_text="Without row: exports the hits of this search, with all its parameters."
    )
    format = Choice(FORMATS, required=True)
    row = several(text(2 * MAX_ID), MAX_EXPORT, required=False, help_text="library:id; repeat for several.")

    def validate_row(self, value: list[str]) -> list[tuple[str, str]]:
        """``["catalogue:7"]`` → [("catalogue", "7")]. Raises ValidationError for one without a colon."""
        rows = []
        for item in value:
            library, colon, identifier = item.partition(":")
            if not (library and colon and identifier):
                raise serializers.ValidationError(f"'{item[:60]}' names no row. Write library:id.")
            rows.append((library, identifier))
        return rows

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """At least one source of rows."""
        values = super().validate(values)
        if not values.get("row") and "q" not in values:
            raise serializers.ValidationError(
                {"q": "Nothing to export. Give row=library:id, or a search with q."}
            )
        return values
