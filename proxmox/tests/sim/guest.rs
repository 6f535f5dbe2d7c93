//! What is asked of the guest and about it: agent, cloud-init, media, consoles, measurements.

use std::time::{Duration, Instant};

use portico_proxmox::{CloudinitData, ConfigUpdate, Consolidation, Error, Secret, Timeframe, VolumeId};
use pve_sim::{Action, Effect, Major};

use crate::lab::{AUDITOR, Lab, id, majors, node, storage};

#[tokio::test]
async fn the_guest_tells_about_itself() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(100);
        assert_eq!(vm.agent_host_name().await.unwrap(), "web1");
        let os = vm.agent_os().await.unwrap();
        assert!(os.id.is_some() && !os.is_windows(), "{os:?}");
        let cards = vm.agent_interfaces().await.unwrap();
        let card = cards.iter().find(|card| card.name == "eth0").unwrap();
        let wanted: std::net::IpAddr = "192.0.2.10".parse().unwrap();
        assert!(card.addresses.iter().any(|address| address.address == wanted));
        let systems = vm.agent_file_systems().await.unwrap();
        assert!(
            systems
                .iter()
                .any(|system| system.mountpoint.as_deref() == Some("/"))
        );
    }
}

#[tokio::test]
async fn a_password_is_set_and_shows_nowhere() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let password = Secret::new("correct horse");
        lab.vm(100)
            .agent_set_password("debian", &password, false)
            .await
            .unwrap();
        assert_eq!(
            lab.control.effect_count(Effect::PasswordSet, 100, Some("debian")),
            1
        );
        let denied = lab.as_token(AUDITOR);
        let error = denied
            .vm(id(100))
            .agent_set_password("debian", &password, false)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::PermissionDenied { .. }) && !format!("{error:?}").contains("horse"),
            "{error}"
        );
        let log = format!("{:?}", lab.control.request_log(50));
        assert!(!log.contains("horse"));
    }
}

#[tokio::test]
async fn commands_run_in_the_guest() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let pid = lab
            .vm(100)
            .agent_exec(&["echo", "two words"], None)
            .await
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let ended = loop {
            let status = lab.vm(100).agent_exec_status(pid).await.unwrap();
            if status.exited {
                break status;
            }
            assert!(Instant::now() < deadline, "the command does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(ended.exitcode, Some(0));
    }
}

#[tokio::test]
async fn cloud_init_data_wait_until_they_are_made_anew() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(100);
        let update = ConfigUpdate::new().set("ciuser", "admin").unwrap();
        vm.update_config(&update).await.unwrap();
        let waiting = vm.cloudinit_pending().await.unwrap();
        let user = waiting.iter().find(|entry| entry.key == "ciuser").unwrap();
        assert_eq!(
            (user.value.as_deref(), user.pending.as_deref()),
            (Some("debian"), Some("admin"))
        );
        vm.regenerate_cloudinit().await.unwrap();
        let waiting = vm.cloudinit_pending().await.unwrap();
        assert!(!waiting.iter().any(portico_proxmox::PendingValue::is_pending));
        assert!(
            vm.cloudinit_dump(CloudinitData::User)
                .await
                .unwrap()
                .expose()
                .contains("admin")
        );
        assert!(
            vm.cloudinit_dump(CloudinitData::Network)
                .await
                .unwrap()
                .expose()
                .contains("192.0.2.10")
        );
        let cores = ConfigUpdate::new().set("cores", "4").unwrap();
        vm.update_config(&cores).await.unwrap();
        let waiting = vm.pending().await.unwrap();
        assert!(
            waiting
                .iter()
                .any(|entry| entry.key == "cores" && entry.is_pending())
        );
    }
}

#[tokio::test]
async fn a_medium_is_put_in_booted_from_and_taken_out() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let vm = lab.vm(102);
        let isos = lab.client.isos(&node("pve1"), &storage("local")).await.unwrap();
        let iso: &VolumeId = &isos.first().unwrap().volid;
        let slot = vm.config().await.unwrap().media_slot().unwrap();
        let update = ConfigUpdate::new().mount(slot, iso).unwrap();
        vm.update_config(&update).await.unwrap();
        let config = vm.config().await.unwrap();
        assert_eq!(config.medium().as_ref(), Some(iso));
        let boot = config.boot_from_medium().unwrap();
        let update = ConfigUpdate::new().set("boot", &boot).unwrap();
        vm.update_config(&update).await.unwrap();
        let update = ConfigUpdate::new().eject(slot).unwrap();
        vm.update_config(&update).await.unwrap();
        assert_eq!(vm.config().await.unwrap().medium(), None);
    }
}

#[tokio::test]
async fn a_console_is_opened_where_the_vm_is() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let console = lab.vm(100).vnc_proxy().await.unwrap();
        assert_eq!(console.node(), &node("pve1"));
        assert!((5900..6000).contains(&console.port()));
        assert_eq!(console.password().expose().len(), 8);
        assert_eq!(console.upid().unwrap().kind(), "vncproxy");
    }
}

#[tokio::test]
async fn measurements_are_read_with_the_steps_of_each_major() {
    for major in majors() {
        let lab = Lab::new(major).await;
        let steps = match major {
            Major::V8 => [60, 1800, 10_800, 43_200, 604_800],
            Major::V9 => [60, 60, 1800, 1800, 21_600],
        };
        let frames = [
            Timeframe::Hour,
            Timeframe::Day,
            Timeframe::Week,
            Timeframe::Month,
            Timeframe::Year,
        ];
        for (frame, step) in frames.into_iter().zip(steps) {
            let points = lab.vm(100).series(frame, Consolidation::Average).await.unwrap();
            let widest = points.windows(2).map(|pair| pair[1].time - pair[0].time).max();
            assert_eq!(widest, Some(step), "{frame:?}");
        }
        let hour = lab
            .vm(100)
            .series(Timeframe::Hour, Consolidation::Max)
            .await
            .unwrap();
        let point = hour.iter().rev().find(|point| point.cpu.is_some()).unwrap();
        assert_eq!(point.maxmem, Some(f64::from(4096) * 1_048_576.0));
        assert!(point.netin.is_some_and(|rate| rate >= 0.0));
        let off = lab
            .vm(102)
            .series(Timeframe::Hour, Consolidation::Average)
            .await
            .unwrap();
        assert!(off.iter().all(|point| point.cpu.is_none()));
        // Any host answers for it, also when the VM's node is away.
        lab.control
            .act(Action::SetNodeOnline {
                node: "pve1".to_owned(),
                online: false,
                stale: false,
            })
            .unwrap();
        lab.vm(100)
            .series(Timeframe::Hour, Consolidation::Average)
            .await
            .unwrap();
    }
}
