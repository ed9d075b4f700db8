#![no_main]
//! The arguments of `-p`, `--expose`, `--network` and `--add-host`.

use berth_runner::network::files::ExtraHost;
use berth_runner::network::{NetworkMode, Port, PortMapping};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for mapping in PortMapping::parse(text).unwrap_or_default() {
        let (ip, ports) = (mapping.binding_host_ip(), mapping.binding_host_port());
        let again = PortMapping::from_binding(mapping.port(), &ip, &ports).unwrap();
        assert_eq!(again, mapping);
    }
    for port in Port::parse_exposed(text).unwrap_or_default() {
        assert_eq!(port.to_string().parse::<Port>().unwrap(), port);
    }
    if let Ok(mode) = text.parse::<NetworkMode>() {
        assert_eq!(mode.to_string().parse::<NetworkMode>().unwrap(), mode);
    }
    if let Ok(host) = text.parse::<ExtraHost>() {
        assert_eq!(host.to_string().parse::<ExtraHost>().unwrap(), host);
    }
});
