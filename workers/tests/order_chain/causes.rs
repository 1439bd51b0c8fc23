//! What a movement's cause has recorded, what it is called, and what is known of its lot.

use fairlane::{Error, backend_test};
use fairlane_workers::erp::services::stock::{self, MovementKind, NamedLot, NewMovement, Source};
use fairlane_workers::erp::store::stock::terms::{self, Negative, Terms};

use super::support::shop::lines;
use super::warehouse::{assert_ledger_is_right, dec, warehouse};

backend_test!(migrations: lines;
    async fn the_same_cause_that_says_something_else_is_refused_with_what_was_recorded(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        let lot = |lot: &str| NamedLot { product_id: paint, lot: lot.into(), expires_on: None };
        let mut tx = here.tenant.begin().await.unwrap();
        let lots = stock::batches(&mut tx, &here.tenant, &[lot("L1"), lot("L2")]).await.unwrap();
        tx.commit().await.unwrap();
        let source = Source::new("manual", "D-1");
        let receipt = NewMovement::new(MovementKind::Receipt, paint, here.main, dec("5"), source)
            .batch(lots[0].id)
            .unit_cost(dec("2.50"));
        here.record(receipt.clone()).await.unwrap();
        assert!(!here.record(receipt.clone()).await.unwrap().is_new());
        for (other, why) in [
            (NewMovement { quantity: dec("6"), ..receipt.clone() }, "has the quantity 5"),
            (receipt.clone().unit_cost(dec("3")), "has the unit cost 2.5"),
            (receipt.clone().unit_cost(None), "has the unit cost 2.5"),
            (receipt.clone().batch(lots[1].id), "has another batch"),
        ] {
            let error = here.record(other).await.unwrap_err();
            assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(why), "{error}");
        }
        // A count stores the difference: the same count again is the same, whatever is there by now.
        let count_of = here.moving(MovementKind::Count, paint, "7").batch(lots[0].id);
        here.record(count_of.clone()).await.unwrap();
        assert!(!here.record(count_of).await.unwrap().is_new());
        assert_eq!(here.level(paint, here.main).await.0, dec("7"));
        assert_ledger_is_right(&t).await;
    }
);

backend_test!(migrations: lines;
    async fn what_was_entered_by_hand_is_named_by_what_it_moves_and_not_by_a_made_up_number(t: TestDb) {
        let here = warehouse(&t).await;
        let tiles = here.product("T-1", &[]).await;
        let source = Source::new("manual", "01a20000-0000-7000-8000-000000000001");
        let movement = NewMovement::new(MovementKind::Receipt, tiles, here.main, dec("-2"), source);
        let error = here.record(movement.clone()).await.unwrap_err().to_string();
        assert!(error.starts_with("receipt of -2 T-1 at MAIN is not acceptable"), "{error}");
        let mut tx = here.tenant.begin().await.unwrap();
        terms::save(&mut tx.conn(), here.id, Terms { negative: Negative::Forbid, ..Terms::default() }).await.unwrap();
        tx.commit().await.unwrap();
        let sale = NewMovement { kind: MovementKind::Sale, quantity: dec("2"), ..movement };
        let error = here.record(sale).await.unwrap_err().to_string();
        assert!(error.contains("sale of 2 T-1 at MAIN") && !error.contains("01a2"), "{error}");
    }
);

backend_test!(migrations: lines;
    async fn a_lots_last_day_is_corrected_or_taken_away_and_others_agree_with_it_from_then_on(t: TestDb) {
        let here = warehouse(&t).await;
        let paint = here.product("P-1", &[("track_batches", "true")]).await;
        here.receive_lots(paint, &[("L1", "2097-01-31", "4")]).await;
        let mut tx = here.tenant.begin().await.unwrap();
        let day = "2098-01-31".parse().ok();
        let (before, after) = stock::set_last_day(&mut tx, &here.tenant, paint, "L1", day).await.unwrap();
        assert_eq!((before.expires_on, after.expires_on), ("2097-01-31".parse().ok(), day));
        let named = |day: &str| NamedLot { product_id: paint, lot: "L1".into(), expires_on: day.parse().ok() };
        assert!(stock::batches(&mut tx, &here.tenant, &[named("2097-01-31")]).await.is_err());
        assert_eq!(stock::batches(&mut tx, &here.tenant, &[named("2098-01-31")]).await.unwrap()[0].id, before.id);
        stock::set_last_day(&mut tx, &here.tenant, paint, "L1", None).await.unwrap();
        assert_eq!(stock::batches(&mut tx, &here.tenant, &[named("")]).await.unwrap()[0].expires_on, None);
        let error = stock::set_last_day(&mut tx, &here.tenant, paint, "L9", None).await.unwrap_err();
        assert_eq!(error.to_string(), "lot \"L9\" does not exist");
        tx.commit().await.unwrap();
    }
);
