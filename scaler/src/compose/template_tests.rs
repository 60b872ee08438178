use serde_json::{Value, json};

use super::*;

fn project(services: Value) -> Project {
    let document = json!({
        "name": "shop",
        "services": services,
        "networks": {"default": {"name": "shop_default"}, "back": {"name": "shop_back"}},
        "volumes": {"data": {"name": "shop_data"}},
        "secrets": {"key": {"file": "/host/key"}, "said": {"environment": "KEY"}},
        "configs": {"conf": {"file": "/host/conf"}},
    });
    Project::parse(&document.to_string(), None, None).unwrap()
}

/// The container of a service; all that it has is what is given here.
fn read(service: Value) -> Result<Container, String> {
    services(&project(json!({"A": service})))
        .map_err(|error| error.to_string())?
        .remove("A")
        .unwrap()
        .container
}

fn with_image(mut service: Value) -> Result<Container, String> {
    service["image"] = "i".into();
    read(service)
}

fn host(service: Value) -> Value {
    with_image(service).unwrap().body["HostConfig"].clone()
}

/// What `docker compose config --format json` prints of a service that uses about everything.
#[test]
fn a_service_passes_through() {
    let container = read(json!({
        "image": "words:1",
        "command": ["--agent", "A"],
        "entrypoint": null,
        "environment": {"ONE": "1", "UNSET": null},
        "labels": {"team": "words"},
        "user": "65532", "working_dir": "/w", "hostname": "h", "tty": false,
        "stop_grace_period": "1m30.5s", "stop_signal": "SIGINT",
        "healthcheck": {"test": ["CMD", "/check"], "interval": "10s", "retries": 3},
        "networks": {"default": null, "back": {"aliases": ["x"], "ipv4_address": "10.0.0.9", "priority": 10}},
        "volumes": [
            {"type": "volume", "source": "data", "target": "/data", "volume": {}},
            {"type": "bind", "source": "/host", "target": "/h", "read_only": true, "bind": {"create_host_path": true}},
            {"type": "bind", "source": "/b", "target": "/b", "bind": {"create_host_path": false, "propagation": "rslave"}},
            {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1048576"}},
            {"type": "volume", "target": "/own"},
        ],
        "secrets": [{"source": "key", "target": "k"}], "configs": [{"source": "conf"}],
        "tmpfs": ["/run", "/tmp:size=1m"], "cap_drop": ["ALL"], "read_only": true, "init": true,
        "cpus": 0.5, "mem_limit": "67108864", "ulimits": {"nofile": {"soft": 10, "hard": 20}, "nproc": 5},
        "extra_hosts": ["far=10.0.0.1", "near:10.0.0.2"], "dns": "10.0.0.3",
        "devices": [{"source": "/dev/fuse", "target": "/dev/fuse", "permissions": "r"}, "/dev/a:/dev/b"],
        "logging": {"driver": "local", "options": {"max-size": "1m"}},
        "sysctls": {"net.core.somaxconn": "1024"}, "platform": "linux/amd64",
        "deploy": {"replicas": 0, "resources": {
            "limits": {"pids": 50}, "reservations": {"memory": "1024", "devices": [{"capabilities": ["gpu"], "count": 1}]}}},
        "scale": 0, "profiles": ["agents"], "depends_on": {"b": {"condition": "service_started"}},
        "restart": "always", "build": {"context": "/x"}, "ports": [{"target": 80}], "x-mine": {"a": 1},
    }))
    .unwrap();
    let expected = json!({
        "Image": "words:1", "Cmd": ["--agent", "A"], "User": "65532", "WorkingDir": "/w", "Hostname": "h", "Tty": false,
        "StopTimeout": 91, "StopSignal": "SIGINT", "Volumes": {"/own": {}},
        "Healthcheck": {"Test": ["CMD", "/check"], "Interval": 10_000_000_000_i64, "Retries": 3},
        "HostConfig": {
            "NetworkMode": "shop_back",
            "Binds": ["/host:/h:ro"],
            "Mounts": [
                {"Target": "/data", "ReadOnly": false, "Type": "volume", "Source": "shop_data",
                 "VolumeOptions": {"NoCopy": false}},
                {"Target": "/b", "ReadOnly": false, "Type": "bind", "Source": "/b", "BindOptions": {"Propagation": "rslave"}},
                {"Target": "/t", "ReadOnly": false, "Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1_048_576}},
                {"Target": "/run/secrets/k", "ReadOnly": true, "Type": "bind", "Source": "/host/key"},
                {"Target": "/conf", "ReadOnly": true, "Type": "bind", "Source": "/host/conf"},
            ],
            "Tmpfs": {"/run": "", "/tmp": "size=1m"}, "CapDrop": ["ALL"], "ReadonlyRootfs": true, "Init": true,
            "NanoCpus": 500_000_000, "Memory": 67_108_864, "PidsLimit": 50, "MemoryReservation": 1024,
            "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}, {"Name": "nproc", "Soft": 5, "Hard": 5}],
            "ExtraHosts": ["far:10.0.0.1", "near:10.0.0.2"], "Dns": ["10.0.0.3"],
            "Devices": [
                {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "r"},
                {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"},
            ],
            "DeviceRequests": [
                {"Driver": "", "Count": 1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}},
            ],
            "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}},
            "Sysctls": {"net.core.somaxconn": "1024"},
        },
    });
    // In whatever order the mounts come: fields are read in the order of the document, which may be sorted.
    let sorted = |value: &Value| {
        let mut value = value.clone();
        if let Some(Value::Array(mounts)) = value.pointer_mut("/HostConfig/Mounts") {
            mounts.sort_by_key(|mount| mount["Target"].to_string());
        }
        value
    };
    assert_eq!(sorted(&Value::Object(container.body)), sorted(&expected));
    assert_eq!(container.environment, [("ONE".to_owned(), "1".to_owned())].into());
    assert_eq!(container.labels, [("team".to_owned(), "words".to_owned())].into());
    assert_eq!(
        container.networks,
        [
            (
                "shop_back".to_owned(),
                json!({"Aliases": ["A", "x"], "IPAMConfig": {"IPv4Address": "10.0.0.9"}})
            ),
            ("shop_default".to_owned(), json!({"Aliases": ["A"]})),
        ]
    );
    assert_eq!(
        (container.volumes, container.platform),
        (vec!["shop_data".into()], Some("linux/amd64".into()))
    );
}

/// What `docker-compose config` of the first generation prints.
#[test]
fn abbreviations_are_understood() {
    let container = with_image(json!({
        "command": "sh -c 'a b'", "environment": ["ONE=1"], "networks": ["back"],
        "volumes": ["data:/data:rw", "/host:/h:ro", "/own"], "healthcheck": {"test": "true"},
        "tmpfs": "/run", "extra_hosts": {"far": "10.0.0.1"}, "secrets": ["key"],
    }))
    .unwrap();
    assert_eq!(container.body["Cmd"], json!(["sh", "-c", "a b"]));
    assert_eq!(container.body["Healthcheck"], json!({"Test": ["CMD-SHELL", "true"]}));
    let host = &container.body["HostConfig"];
    assert_eq!(host["Binds"], json!(["shop_data:/data:rw", "/host:/h:ro"]));
    assert_eq!((&host["Tmpfs"], &host["ExtraHosts"]), (&json!({"/run": ""}), &json!(["far:10.0.0.1"])));
    assert_eq!(container.networks, [("shop_back".to_owned(), json!({"Aliases": ["A"]}))]);
    assert_eq!(container.volumes, ["shop_data"]);
}

#[test]
fn networks_are_those_of_the_project() {
    let container = with_image(json!({})).unwrap();
    assert_eq!(container.networks[0].0, "shop_default");
    assert_eq!(container.body["HostConfig"]["NetworkMode"], json!("shop_default"));
    let container = with_image(json!({"network_mode": "host"})).unwrap();
    assert_eq!((container.networks.len(), &container.body["HostConfig"]["NetworkMode"]), (0, &json!("host")));
}

#[test]
fn images_that_compose_builds_have_its_names() {
    assert_eq!(read(json!({"build": "."})).unwrap().body["Image"], json!("shop-A"));
    assert_eq!(read(json!({"build": ".", "image": "own"})).unwrap().body["Image"], json!("own"));
}

#[test]
fn gpus_are_requested() {
    let all = json!([{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]);
    assert_eq!(host(json!({"gpus": "all"}))["DeviceRequests"], all);
    assert_eq!(host(json!({"gpus": [{"count": -1}]}))["DeviceRequests"], all);
    assert_eq!(host(json!({"gpus": [{"device_ids": ["1"]}]}))["DeviceRequests"][0]["Count"], json!(0));
}

#[test]
fn what_cannot_be_passed_on_is_named() {
    for (service, complaint) in [
        (json!({}), "it has no image"),
        (json!({"image": "i", "volumes_from": ["b"]}), "volumes_from is not passed on"),
        (json!({"image": "i", "field_of_a_later_version": 1}), "field_of_a_later_version is not passed on"),
        (json!({"image": "i", "network_mode": "service:b"}), "network_mode: \"service:b\" names a container"),
        (json!({"image": "i", "networks": ["other"]}), "networks: \"other\" is not among the networks"),
        (json!({"image": "i", "networks": {"back": {"mac_address": "x"}}}), "networks: mac_address of back"),
        (json!({"image": "i", "volumes": ["other:/x"]}), "volumes: \"other\" is not among the volumes"),
        (
            json!({"image": "i", "volumes": [{"type": "cluster", "source": "c", "target": "/x"}]}),
            "of type \"cluster\"",
        ),
        (
            json!({"image": "i", "volumes": [
                {"type": "bind", "source": "/s", "target": "/x", "bind": {"recursive": "readonly"}}]}),
            "volumes: recursive of bind is not passed on",
        ),
        (json!({"image": "i", "secrets": ["said"]}), "secrets: said is not a file"),
        (json!({"image": "i", "mem_limit": "much"}), "mem_limit: \"much\" is no size"),
        (json!({"image": "i", "stop_grace_period": "soon"}), "stop_grace_period: \"soon\" is no time"),
        (
            json!({"image": "i", "deploy": {"resources": {"limits": {"ions": 1}}}}),
            "deploy: resources: ions of limits",
        ),
        (
            json!({"image": "i", "security_opt": ["seccomp:p.json"]}),
            "the seccomp profile \"p.json\" lies in a file",
        ),
        (json!({"image": "i", "devices": ["vendor.com/class=name"]}), "is no device of this host"),
    ] {
        let error = read(service).expect_err(complaint);
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn what_an_engine_is_too_old_for_is_named() {
    for (service, expected) in [
        (json!({"healthcheck": {"test": "true", "interval": "1s"}}), None),
        (json!({"annotations": {"a": "b"}}), Some(("annotations", (1, 43)))),
        (json!({"healthcheck": {"test": "true", "start_interval": "1s"}}), Some(("start_interval", (1, 44)))),
        (
            json!({"volumes": [
                {"type": "volume", "source": "data", "target": "/x", "volume": {"subpath": "mine"}}]}),
            Some(("subpath", (1, 45))),
        ),
        (json!({"networks": {"back": {"gw_priority": 1}}}), Some(("gw_priority", (1, 48)))),
    ] {
        let container = with_image(service).unwrap();
        assert_eq!(container.beyond((1, 41)), expected);
        assert_eq!(container.beyond((1, 48)), None, "{expected:?}");
    }
}

#[test]
fn labels_say_which_agent_and_how() {
    let project = project(json!({
        "Plain": {"image": "i"},
        "named": {"image": "i", "labels": {"perper.dev/agent": "An agent"}, "restart": "on-failure:3"},
        "Reader": {"image": "i", "labels": ["perper.dev/mode=Shared"], "restart": "no"},
        "other": {"image": "i", "credential_spec": {}, "deploy": {"restart_policy": {"condition": "none"}}},
    }));
    let services = services(&project).unwrap();
    let template = |mode, restart| Template { mode, restart };
    assert_eq!(
        templates(&services),
        [
            ("An agent", template(Mode::PerInstance, Restart::OnFailure)),
            ("Plain", template(Mode::PerInstance, Restart::Always)),
            ("Reader", template(Mode::Replicas(0), Restart::Never)),
            // What is no agent may be what it likes.
            ("other", template(Mode::PerInstance, Restart::Never)),
        ]
        .map(|(agent, template)| (agent.to_owned(), template))
        .into()
    );
    assert_eq!(services["An agent"].name, "named");
    assert!(services["other"].container.is_err());
}

#[test]
fn labels_that_cannot_be_followed_are_named() {
    for (described, complaint) in [
        (
            json!({"A": {"labels": {"perper.dev/mode": "shared"}}}),
            "service A: the label perper.dev/mode is \"shared\"",
        ),
        (
            json!({"A": {}, "b": {"labels": {"perper.dev/agent": "A"}}}),
            "service b: it is for the agent \"A\", and so is \"A\"",
        ),
    ] {
        let error = services(&project(described)).expect_err(complaint).to_string();
        assert!(error.contains(complaint), "{error}");
    }
}
