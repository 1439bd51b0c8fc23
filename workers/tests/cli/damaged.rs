//! Rows that somebody's hand has damaged: each is shown as what it is, and the others beside it.

use serde_json::Value;

use super::support::Cli;

/// The row of a list that has this value in this field.
#[track_caller]
fn row<'a>(list: &'a Value, field: &str, value: &str) -> &'a Value {
    let rows = list["data"].as_array().unwrap();
    rows.iter().find(|row| row[field] == value).unwrap_or_else(|| panic!("no {value} in {list}"))
}

#[test]
fn a_damaged_queue_is_shown_as_damaged_with_its_counts_and_is_an_alert() {
    let cli = Cli::with_tenants();
    cli.enqueue("acme", "x.y", &[]);
    cli.enqueue("acme", "x.y", &["--queue", "low"]);
    cli.sql("insert into fairlane_queues (name, paused_at) values ('default', 'yesterday')", &[]);
    let queues = cli.run(&["queues", "-o", "json"]).expect(0).json();
    let default = row(&queues, "queue", "default");
    assert_eq!((&default["state"], &default["ready"]), (&"damaged".into(), &1.into()));
    assert!(default["damaged"].as_str().unwrap().contains("paused_at"), "{default}");
    assert_eq!(
        (&row(&queues, "queue", "low")["state"], queues["damaged"].as_array().unwrap().len()),
        (&"ok".into(), 0)
    );
    cli.run(&["queues"]).expect(0).says("DAMAGED: ").says("paused_at");
    let watched = cli.run(&["monitor", "-o", "json"]).expect(8).json();
    assert_eq!(row(&watched, "queue", "default")["status"], "DAMAGED");
    assert_eq!(row(&watched, "queue", "low")["status"], "OK");
    cli.run(&["monitor", "low"]).expect(0);
    cli.run(&["resume", "default"]).expect(0);
    cli.run(&["monitor"]).expect(0);
}

#[test]
fn a_queue_with_an_unreadable_age_is_damaged_and_one_with_an_unreadable_name_is_named() {
    let cli = Cli::with_tenants();
    let id = cli.enqueue("acme", "x.y", &[]);
    cli.sql("update fairlane_jobs set run_at = 'soon' where id = ?1", &[&id]);
    cli.sql("insert into fairlane_queues (name) values (x'ff00')", &[]);
    let queues = cli.run(&["queues", "-o", "json"]).expect(0).json();
    assert_eq!(row(&queues, "queue", "default")["state"], "damaged");
    assert_eq!(queues["damaged"].as_array().unwrap().len(), 1, "{queues}");
    cli.run(&["monitor"]).expect(8).says("can't be read");
}

#[test]
fn a_damaged_tenant_is_named_and_the_others_are_listed() {
    let cli = Cli::with_tenants();
    cli.sql("update fairlane_tenants set created_at = 'yesterday' where slug = 'acme'", &[]);
    let list = cli.run(&["tenants", "list", "-o", "json"]).expect(0).says("created_at").json();
    assert_eq!((&list["data"][0]["slug"], list["data"].as_array().unwrap().len()), (&"globex".into(), 1));
    assert_eq!(list["damaged"][0]["id"], "acme");
    cli.run(&["tenants", "limits", "globex", "--pending", "5"]).expect(0);
    cli.run(&["tenants", "limits", "acme", "--pending", "5"]).expect(0);
    cli.run(&["tenants", "limits", "globx"]).expect(3).says("did you mean \"globex\"");
    let id = cli.enqueue("globex", "x.y", &[]);
    cli.run(&["show", &id]).expect(0).says("no worker serves queue default");
}

#[test]
fn a_damaged_limit_is_named_beside_the_others_and_cleared_with_them() {
    let cli = Cli::with_tenants();
    cli.run(&["tenants", "limits", "acme", "--pending", "5"]).expect(0);
    cli.run(&["tenants", "limits", "acme", "--queue", "low", "--concurrency", "2"]).expect(0);
    cli.sql("update fairlane_limits set concurrency = 'many' where scope = 'queue'", &[]);
    let list = cli.run(&["tenants", "limits", "acme", "-o", "json"]).expect(0).json();
    assert_eq!(row(&list, "limit", "pending")["value"], 5);
    assert_eq!(list["damaged"][0]["id"], "queue low");
    cli.run(&["tenants", "limits", "acme", "--clear"]).expect(0).says("total, queue low");
    let list = cli.run(&["tenants", "limits", "acme", "-o", "json"]).expect(0).json();
    assert_eq!(
        (&list["data"][0]["limit"], &list["damaged"]),
        (&"payload_bytes".into(), &serde_json::json!([]))
    );
}
