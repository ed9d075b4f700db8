use proptest::prelude::*;
use serde_json::json;

use super::*;

fn data() -> Value {
    json!({
        "Id": "0123456789ab",
        "Names": ["a", "b"],
        "State": {"Running": true, "Pid": 12, "Error": "", "Health": null},
        "HostConfig": {"Memory": 67_108_864, "Privileged": false, "Ratio": 1.5, "Big": 1e21},
        "Ports": {"80/tcp": [{"HostPort": "8080"}], "81/tcp": null},
        "Labels": {"b": "2", "a": "1"},
        "Options": null,
    })
}

fn rendered(text: &str) -> String {
    Template::parse(text).and_then(|template| template.render(&data())).unwrap()
}

fn refused(text: &str) -> String {
    let error = Template::parse(text).and_then(|template| template.render(&data())).unwrap_err();
    error.to_string().replace("template parsing error: template: :", "")
}

#[test]
fn values_look_as_go_prints_them() {
    for (text, expected) in [
        ("{{.Id}}", "0123456789ab"),
        ("{{.State.Pid}} {{.State.Running}}", "12 true"),
        ("{{.Names}} {{.Labels}}", "[a b] map[a:1 b:2]"),
        ("{{.State.Health}}", "<no value>"),
        ("{{.Ports}}", "map[80/tcp:[map[HostPort:8080]] 81/tcp:<nil>]"),
        ("{{.HostConfig.Memory}} {{.HostConfig.Ratio}} {{.HostConfig.Big}}", "67108864 1.5 1e+21"),
        ("{{json .Names}} {{json .State.Health}}", "[\"a\",\"b\"] null"),
        ("{{\"a\\tb\\u00e9\"}}{{`c\\n`}}{{'x'}} {{0x10}} {{-1.5}}", "a\tb\u{e9}c\\n120 16 -1.5"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn blocks_do_what_they_say() {
    for (text, expected) in [
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{if .State.Error}}bad{{else if .Names}}named{{else}}none{{end}}", "named"),
        ("{{range .Names}}<{{.}}>{{end}}", "<a><b>"),
        ("{{range $i, $e := .Names}}{{$i}}{{$e}}{{$.Id | len}}{{end}}", "0a121b12"),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", "a=1 b=2 "),
        ("{{range .State.Health}}x{{else}}none{{end}}", "none"),
        ("{{range .Names}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{range .Names}}{{if eq . \"a\"}}{{continue}}{{end}}{{.}}{{end}}", "b"),
        ("{{with .State}}{{.Pid}}{{end}}{{with .State.Error}}x{{else}}fine{{end}}", "12fine"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ("{{$x := 1}}{{if true}}{{$x := 2}}{{end}}{{$x}}", "1"),
        ("a {{- \" b \" -}} c", "a b c"),
        ("a {{- /* nothing */ -}} b", "ab"),
        ("{{/* nothing */}}a", "a"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn functions_and_pipelines_work() {
    for (text, expected) in [
        ("{{index .Ports \"80/tcp\" 0 \"HostPort\"}}", "8080"),
        ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{.Labels.a | printf \"%s-%s\" \"x\"}}", "x-1"),
        ("{{join .Names \", \" | upper}} {{lower \"AB\"}} {{title \"ab cd\"}}", "A, B ab Ab Cd"),
        ("{{len (split \"a,b,c\" \",\")}} {{index (split \"a,b,c\" \",\") 1}}", "3 b"),
        (
            "{{eq 1 2 3 1}} {{ne \"a\" \"b\"}} {{lt 1 1.5}} {{ge \"b\" \"a\"}}",
            "true true true true",
        ),
        ("{{and 1 0 2}} {{or 0 \"x\"}} {{not true}}", "0 x false"),
        ("{{if and .State.Health .State.Health.Status}}x{{else}}y{{end}}", "y"),
        (
            "{{printf \"%5d|%-5s|%05d|%q|%v|%t|%x|%.2f|%%\" 1 \"a\" -2 \"q\" .Names true 255 1.5}}",
            "    1|a    |-0002|\"q\"|[a b]|true|ff|1.50|%",
        ),
        ("{{printf \"%d %s\" \"x\"}}", "%!d(string=x) %!s(MISSING)"),
        ("{{printf \"%d\" 1 2}}", "1%!(EXTRA int=2)"),
        ("{{println 1 \"a\"}}{{print 1 2 \"a\" 3}}", "1 a\n1 2a3"),
        ("{{truncate .Id 4}} {{slice .Id 1 3}} {{html \"<a>\"}}", "0123 12 &lt;a&gt;"),
        ("{{.Labels \"a\"}}{{.Labels \"missing\"}}", "1"),
        ("{{.Labels.missing}} {{if .Labels.missing}}x{{else}}y{{end}}", "<no value> y"),
        ("{{.Options.missing}} {{.Ports.x.y}} {{.SizeRw}}", "<no value> <no value> <no value>"),
        ("{{.HostConfig.Name}}{{.HostConfig.Driver}}x", "x"),
        ("{{.HostConfig.Sysctls}}{{.HostConfig.Mounts}}{{if .Healthcheck}}x{{end}}", "map[][]"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_as_go_says_it() {
    for (text, expected) in [
        ("{{.Nope}}", "1:2: executing \"\" at <.Nope>: map has no entry for key \"Nope\""),
        ("{{.Id.x}}", "1:2: executing \"\" at <.Id.x>: can't evaluate field x in type string"),
        (
            "{{.State.Health.Status}}",
            "1:2: executing \"\" at <.State.Health.Status>: nil pointer evaluating interface {}.Status",
        ),
        ("\n {{range 1}}{{end}}", "2:9: executing \"\" at <1>: range can't iterate over 1"),
        (
            "{{index .Names 5}}",
            "1:2: executing \"\" at <index>: error calling index: index out of range: 5",
        ),
        ("{{nope}}", "1: function \"nope\" not defined"),
        ("{{$x}}", "1: undefined variable \"$x\""),
        ("{{.Id", "1: unclosed action"),
        ("{{if .Id}}", "1: unexpected EOF"),
        ("{{end}}", "1: unexpected {{end}}"),
        ("{{}}", "1: missing value for command"),
        ("{{.Id | }}", "1: missing value for command"),
        ("{{\"a}}", "1: unterminated quoted string"),
        ("{{break}}", "1: {{break}} outside {{range}}"),
        ("{{.Id 1}}", "1:2: executing \"\" at <.Id>: can't give argument to non-function .Id"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn blocks_without_end_are_refused_and_do_not_overflow() {
    for text in ["{{if 1}}".repeat(10_000), format!("{{{{{}}}}}", "(".repeat(10_000))] {
        assert!(refused(&text).contains("too many blocks in each other"));
    }
    assert!(rendered("{{printf \"%999999999d\" 1}}").len() <= 10_000);
}

proptest! {
    #[test]
    fn nothing_that_is_typed_makes_it_panic(text in "(\\{\\{|\\}\\}|[-a-z.$|:=(),\"`' 0-9%]|if |range |end|else|index |printf |\\.Names|\\$|é){0,40}") {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.render(&data());
        }
    }
}
