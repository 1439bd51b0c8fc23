# What developers type. `just check` runs what CI runs.

# List the recipes.
default:
    @just --list

# Everything CI runs, in the same order.
check:
    bash .ci/run

# Format, lint and document.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# All tests; PostgreSQL is used where it is installed.
test:
    cargo test

# Reports in a bucket: the build with the feature `s3`, its one TLS provider, and its tests against a bucket on this machine.
test-s3:
    ! cargo tree -p fairlane-workers --features s3 --locked -e normal | grep -E 'aws-lc-rs|openssl-sys'
    cargo clippy -p fairlane-workers --all-targets --features s3 -- -D warnings
    cargo test -p fairlane-workers --features s3 --lib elsewhere
    cargo test -p fairlane-workers --features s3 --lib bucket
    cargo test -p fairlane-workers --features s3 --test reports

# The guided demo on an embedded SQLite file.
demo:
    cargo run -- demo --once

# Licences, advisories and forbidden crates (needs cargo-deny).
deny:
    cargo deny check

# Kill workers for a long while and count what is left. Takes some minutes.
campaign:
    FAIRLANE_TEST_CAMPAIGN=full cargo test --release -p fairlane-workers --test kills --test workflows --test valuation -- --nocapture

# Measure a verb of `fairlane bench` beside its floor: just bench drain -d postgres://..
bench verb *arguments:
    cargo run --release -- bench {{verb}} {{arguments}}

# Compare the import with its floor, on SQLite; another database: just bench-import DATABASE_URL.
bench-import database="sqlite:.fairlane/bench.db":
    cargo run --release -- bench import --rows 100000 --database "{{database}}"

# Switch every mechanism off, one at a time: the test that guards it must fail. `just break-it fence` takes some of them.
break-it *names:
    tests/break-it/run {{names}}
