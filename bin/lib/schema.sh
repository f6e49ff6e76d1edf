# shellcheck shell=bash
# The schema of a database, to be read by people. Sourced, after postgres.sh, by bin/schema and by the test that compares the file.

# Prints what Postgres dumps, without the functions, which have their files, and without what differs between versions of Postgres:
# comments, settings, and, from Postgres 16 on, the tables' names before the columns of a view.
print_schema() ( # CONNECTION-STRING
    set -euo pipefail
    bin=$(postgres_bin)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # Only from an archive can things be left out by their kind.
    "$bin/pg_dump" --format custom --schema-only -f "$work/archive" -d "$1"
    "$bin/pg_restore" --list "$work/archive" | grep -vE '^[0-9]+; [0-9]+ [0-9]+ (FUNCTION|PROCEDURE|AGGREGATE) ' >"$work/contents"
    echo "-- The whole schema. Functions are not here: each has its file, in Functions or in an endpoint's folder."
    echo "-- bin/schema writes this from the migrations. People read it; no program does."
    echo
    "$bin/pg_restore" --no-owner --no-privileges --use-list "$work/contents" -f - "$work/archive" |
        sed -E '/^(--|SET |SELECT pg_catalog\.set_config|\\(un)?restrict )/d; /^CREATE VIEW/,/;$/ { /^CREATE/! s/\<[a-z_]+\.//g }' |
        awk 'NF { if (gap) print ""; gap = 0; shown = 1; print; next } { gap = shown }'
)
