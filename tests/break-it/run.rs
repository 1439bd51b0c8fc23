//! Switches every mechanism of `mechanisms.txt` off, one at a time, and expects the named test to fail.
//!
//! ```text
//! copy the checkout -> target/break-it/checkout       the real one is never touched
//! put a switch into the copy for each mechanism       code: if off { .. } else { .. }; statements: by their text
//! build once
//! everything on: each test must pass                  else its failure would prove nothing
//! one off: its test must fail
//! ```

mod mechanisms;
mod switches;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mechanisms::{Mechanism, parse};
use switches::{copy_with_switches, with_switches};

/// A test that has not ended by then has failed.
const LIMIT: Duration = Duration::from_secs(150);
/// Names the mechanism that is off; read by the switches in the copy.
const SWITCH: &str = "switched-off";

/// A statement that no database takes proves nothing.
const BAD_SQL: [&str; 5] = ["syntax error", "no such column", "42601", "42703", "42P18"];

type Res<T> = Result<T, String>;

enum Seen {
    Passed,
    Failed(String),
    Skipped,
    NotThere(String),
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("break-it: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Res<bool> {
    let mut arguments = std::env::args().skip(1);
    let place = PathBuf::from(arguments.next().ok_or("say where to work")?);
    let wanted: Vec<String> = arguments.collect();
    let all = parse(&read(Path::new("tests/break-it/mechanisms.txt"))?)?;
    if wanted.iter().any(|word| word == "--check") {
        with_switches(&all)?;
        println!("{} mechanisms stand where they are said to", all.len());
        return Ok(true);
    }
    let copy = fs::canonicalize(&place).map_err(|why| why.to_string())?.join("checkout");
    copy_with_switches(&copy, &all)?;
    link_shared(&place)?;
    let chosen: Vec<&Mechanism> = all
        .iter()
        .filter(|it| wanted.is_empty() || wanted.iter().any(|word| it.name.contains(word.as_str())))
        .collect();
    let binaries = build(&place, &copy, &chosen)?;
    let healthy = everything_on(&copy, &binaries, &chosen)?;
    let mut table = String::from("| switched off | what it guards | test | result |\n|---|---|---|---|\n");
    let mut uncaught = 0;
    for it in chosen {
        let result = match healthy.get(&it.test) {
            Some(Seen::Passed) => judge(&observe(&copy, &binaries, it, &it.name)?),
            Some(Seen::Failed(why)) => (false, format!("FAILS WITH EVERYTHING ON: {why}")),
            Some(Seen::Skipped) => (false, "SKIPPED: needs PostgreSQL, or the collected data".into()),
            Some(Seen::NotThere(why)) => (false, format!("NO SUCH TEST: {why}")),
            None => (false, "not run".into()),
        };
        uncaught += usize::from(!result.0);
        println!("{:<44} {}", it.name, result.1);
        let word = if result.0 { "failed as it should" } else { result.1.as_str() };
        let _ = writeln!(table, "| {} | {} | `{} {}` | {word} |", it.name, it.guards, it.target, it.test);
    }
    fs::write(copy.join(SWITCH), "").map_err(|why| why.to_string())?;
    fs::write(place.join("report.md"), &table).map_err(|why| why.to_string())?;
    println!("\n{table}\n{uncaught} not caught; the table is in {}/report.md", place.display());
    Ok(uncaught == 0)
}

fn judge(seen: &Seen) -> (bool, String) {
    match seen {
        Seen::Failed(why) if BAD_SQL.iter().any(|words| why.contains(words)) => {
            (false, format!("NO VERDICT, the change itself is wrong: {why}"))
        }
        Seen::Failed(why) => (true, format!("failed as it should: {why}")),
        Seen::Passed => (false, "NOT CAUGHT".into()),
        Seen::Skipped => (false, "SKIPPED".into()),
        Seen::NotThere(why) => (false, format!("NO VERDICT: {why}")),
    }
}

/// What lies beside the checkout and not in it (the collected data) lies beside the copy too.
fn link_shared(place: &Path) -> Res<()> {
    let (Ok(shared), link) = (fs::canonicalize("../shared"), place.join("shared")) else { return Ok(()) };
    if link.exists() {
        return Ok(());
    }
    std::os::unix::fs::symlink(&shared, &link).map_err(|why| format!("{}: {why}", link.display()))
}

fn read(path: &Path) -> Res<String> {
    fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// Builds the tests of the copy; returns the binary of each target. Dependencies that were built before are copied.
fn build(place: &Path, copy: &Path, chosen: &[&Mechanism]) -> Res<BTreeMap<String, PathBuf>> {
    let target = fs::canonicalize(place).map_err(|why| why.to_string())?.join("target");
    let built = place.parent().unwrap_or(place).join("debug");
    if !target.exists() && built.join("deps").exists() {
        eprintln!("copying the dependencies that are built already");
        fs::create_dir_all(target.join("debug")).map_err(|why| why.to_string())?;
        let parts = ["deps", "build", ".fingerprint"].map(|part| built.join(part));
        let copied = Command::new("cp").arg("-a").args(parts).arg(target.join("debug")).status();
        copied.map_err(|why| format!("cp: {why}"))?;
    }
    let targets: BTreeSet<&str> = chosen.iter().map(|it| it.target.as_str()).collect();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(copy).env("CARGO_TARGET_DIR", &target).stderr(Stdio::inherit());
    cargo.args(["test", "--workspace", "--no-run", "--message-format=json"]);
    for name in &targets {
        cargo.args(["--test", name]);
    }
    let output = cargo.output().map_err(|why| format!("cargo: {why}"))?;
    let messages = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        for line in messages.lines().filter_map(|line| field(line, "\"rendered\":\"")) {
            eprintln!("{}", line.replace("\\n", "\n"));
        }
        return Err("the copy with its switches does not build".into());
    }
    let mut binaries = BTreeMap::new();
    for line in messages.lines().filter(|line| line.contains("\"kind\":[\"test\"]")) {
        if let (Some(name), Some(path)) = (field(line, "\"name\":\""), field(line, "\"executable\":\"")) {
            binaries.insert(name, PathBuf::from(path));
        }
    }
    Ok(binaries)
}

/// A text of a JSON line, up to the first quotation mark that is not escaped.
fn field(line: &str, key: &str) -> Option<String> {
    let rest = &line[line.find(key)? + key.len()..];
    let mut end = 0;
    while let Some(at) = rest[end..].find('"') {
        end += at;
        if !rest[..end].ends_with('\\') {
            return Some(rest[..end].to_owned());
        }
        end += 1;
    }
    None
}

/// With everything on each test must pass: a test that always fails proves nothing.
fn everything_on(
    copy: &Path,
    binaries: &BTreeMap<String, PathBuf>,
    chosen: &[&Mechanism],
) -> Res<BTreeMap<String, Seen>> {
    let mut healthy = BTreeMap::new();
    for it in chosen {
        if !healthy.contains_key(&it.test) {
            eprint!(".");
            healthy.insert(it.test.clone(), observe(copy, binaries, it, "")?);
        }
    }
    eprintln!();
    Ok(healthy)
}

/// Runs the test of a mechanism while `off` is switched off.
fn observe(copy: &Path, binaries: &BTreeMap<String, PathBuf>, it: &Mechanism, off: &str) -> Res<Seen> {
    let Some(binary) = binaries.get(&it.target) else {
        return Ok(Seen::NotThere(format!("no test target {}", it.target)));
    };
    fs::write(copy.join(SWITCH), off).map_err(|why| why.to_string())?;
    let log = copy.join("test-output.txt");
    let file = fs::File::create(&log).map_err(|why| why.to_string())?;
    let again = file.try_clone().map_err(|why| why.to_string())?;
    let tests = copy.join("workers/tests");
    let here = tests.join(format!("{}.rs", it.target)).exists() || tests.join(&it.target).is_dir();
    let package = if here { copy.join("workers") } else { copy.to_owned() };
    let child = Command::new(binary)
        .args(["--exact", &it.test, "--nocapture"])
        .current_dir(package)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(again)
        .spawn()
        .map_err(|why| format!("{}: {why}", binary.display()))?;
    let ended = wait(child)?;
    let output = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    Ok(if !ended {
        Seen::Failed(format!("it did not end within {} s", LIMIT.as_secs()))
    } else if output.contains("SKIPPED") {
        Seen::Skipped
    } else if output.contains("test result: ok. 1 passed") {
        Seen::Passed
    } else if output.contains("test result: FAILED") {
        Seen::Failed(complaint(&output))
    } else {
        Seen::NotThere(output.lines().last().unwrap_or("it said nothing").to_owned())
    })
}

/// The lines of the first panic, as one.
fn complaint(output: &str) -> String {
    let said = output.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
    let said: Vec<&str> = said.take_while(|line| !line.starts_with("note:")).take(4).map(str::trim).collect();
    said.join(" ").chars().take(160).collect()
}

/// Whether it ended by itself in time.
fn wait(mut child: Child) -> Res<bool> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if child.try_wait().map_err(|why| why.to_string())?.is_some() {
            return Ok(true);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
