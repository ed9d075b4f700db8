mod golden;

use clap::Parser;

use super::*;
use crate::engine::usage::usage_error;

#[derive(Debug, Parser)]
#[command(name = "run")]
struct Run {
    #[command(flatten)]
    options: AsDocker<RunOptions>,
}

fn run(arguments: &str) -> Result<Request, String> {
    run_words(arguments.split_whitespace().map(str::to_owned).collect())
}

fn run_words(arguments: Vec<String>) -> Result<Request, String> {
    use clap::CommandFactory as _;
    let arguments = ["run".to_owned()].into_iter().chain(arguments);
    let run = Run::try_parse_from(arguments).map_err(|error| {
        usage_error(&error, &Run::command()).unwrap_or_else(|| error.to_string())
    })?;
    run.options.0.container.request().map_err(|error| format!("{error:#}"))
}

#[test]
fn options_end_at_the_image() {
    let request = run("-it --name box busybox -- ls -l --name x").unwrap();
    assert_eq!(request.image, "busybox");
    assert_eq!(request.name.as_deref(), Some("box"));
    assert!(request.config.tty && request.config.open_stdin && request.config.stdin_once);
    assert_eq!(request.config.cmd.unwrap(), ["--", "ls", "-l", "--name", "x"]);
}

#[test]
fn every_form_of_an_option_means_the_same() {
    for arguments in
        ["-m 6m i", "-m6m i", "-m=6m i", "--memory 6m i", "--memory=6m i", "-m 1g -m 6m i"]
    {
        assert_eq!(run(arguments).unwrap().host_config.memory, 6 << 20, "{arguments}");
    }
    for (arguments, expected) in
        [("--rm i", true), ("--rm=true i", true), ("--rm=0 i", false), ("--rm --rm=false i", false)]
    {
        assert_eq!(run(arguments).unwrap().host_config.auto_remove, expected, "{arguments}");
    }
}

#[test]
fn what_is_repeated_is_gathered() {
    let request = run("-e A=1 -e B=2 --cap-add A --cap-add=B -v /a:/b -v box:/c -v /d i").unwrap();
    assert_eq!(request.config.env, ["A=1", "B=2"]);
    assert_eq!(request.host_config.cap_add, ["A", "B"]);
    assert_eq!(request.host_config.binds, ["/a:/b", "box:/c"]);
    assert_eq!(request.config.volumes.keys().collect::<Vec<_>>(), ["/d"]);
}

#[test]
fn an_empty_entry_point_is_a_wish() {
    assert_eq!(run("--entrypoint= i").unwrap().config.entrypoint, Some(vec![String::new()]));
    assert_eq!(run("i").unwrap().config.entrypoint, None);
}

#[test]
fn paths_of_the_system_can_be_shown() {
    let request = run("--security-opt systempaths=unconfined i").unwrap();
    assert_eq!(request.host_config.masked_paths, Some(Vec::new()));
    assert_eq!(request.host_config.security_opt, [""; 0]);
}

#[test]
fn what_is_published_is_exposed() {
    let request = run("-p 127.0.0.1:8080:80 -p 53:53/udp --expose 9000-9001 -P i").unwrap();
    let exposed: Vec<_> = request.config.exposed_ports.keys().collect();
    assert_eq!(exposed, ["53/udp", "80/tcp", "9000/tcp", "9001/tcp"]);
    let binding = &request.host_config.port_bindings["80/tcp"].as_ref().unwrap()[0];
    assert_eq!((binding.host_ip.as_str(), binding.host_port.as_str()), ("127.0.0.1", "8080"));
    assert!(request.host_config.publish_all_ports);
}

#[test]
fn what_is_wrong_is_said_as_docker_says_it() {
    for (arguments, words) in [
        ("--nonsense i", "unknown flag: --nonsense"),
        ("-Z i", "unknown shorthand flag: 'Z' in -Z"),
        ("-m abc i", "invalid argument \"abc\" for \"-m, --memory\" flag: invalid size: 'abc'"),
        ("-d", "'run' requires at least 1 argument"),
        ("-m", "flag needs an argument: --memory"),
        (
            "--rm=maybe i",
            "invalid argument \"maybe\" for \"--rm\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        (
            "--ulimit files=1 i",
            "invalid argument \"files=1\" for \"--ulimit\" flag: invalid ulimit type: files",
        ),
        (
            "--memory-swappiness 101 i",
            "invalid argument \"101\" for \"--memory-swappiness\" flag: invalid value: 101. Valid memory swappiness range is 0-100",
        ),
        ("--restart=always --rm i", "conflicting options: cannot specify both --restart and --rm"),
        ("--pid nobody i", "invalid argument \"nobody\" for \"--pid\" flag: invalid PID mode"),
        (
            "--sysctl kernel.panic=1 i",
            "invalid argument \"kernel.panic=1\" for \"--sysctl\" flag: sysctl 'kernel.panic=1' is not allowed",
        ),
        (
            "--security-opt seccomp=/none i",
            "opening seccomp profile (/none) failed: open /none: no such file or directory",
        ),
        ("--security-opt seccomp= i", "invalid --security-opt: \"seccomp=\""),
        (
            "-a stdwhat i",
            "invalid argument \"stdwhat\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR",
        ),
        ("-v /a:/b:c:d i", "invalid volume specification: '/a:/b:c:d'"),
        ("--env-file /none i", "--env-file: open /none: no such file or directory"),
        ("--no-healthcheck --health-cmd x i", "--no-healthcheck conflicts with --health-* options"),
        ("-p 80:x i", "invalid containerPort: x"),
        (
            "--add-host x i",
            "invalid argument \"x\" for \"--add-host\" flag: bad format for add-host: \"x\"",
        ),
        ("--net container:x -h y i", "conflicting options: hostname and the network mode"),
        (
            "--net container:x -p 80 i",
            "conflicting options: port publishing and the container type network mode",
        ),
        ("--net container:x --dns 1.1.1.1 i", "conflicting options: dns and the network mode"),
        ("--net none --net host i", "a container is connected to one network only, for now"),
        ("--uts host -h x i", "conflicting options: hostname and the UTS mode"),
    ] {
        assert_eq!(run(arguments).unwrap_err(), words, "{arguments}");
    }
}

#[test]
fn every_option_is_in_the_reference() {
    use clap::CommandFactory as _;
    let reference = include_str!("../../../../../docs/reference/run-options.md");
    let command = Run::command();
    let names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    for name in names.iter().filter(|name| **name != "help") {
        assert!(reference.contains(&format!("`--{name}`")), "--{name} is missing");
    }
    let told = reference.lines().filter_map(|line| line.strip_prefix("| `--")?.split('`').next());
    for name in told {
        assert!(names.contains(&name), "--{name} is no option");
    }
}
