# All of Swift in one process: proxy, account, container and object server over one folder.
#
# Arguments: the folder, the proxy's port, the address of Keystone.

import os
import sys

import eventlet
from swift.common import utils
from swift.common.utils import logs
from swift.common.wsgi import get_hub

eventlet.hubs.use_hub(get_hub())
utils.eventlet_monkey_patch()
# Errors go to standard error, not to syslog.
logs.get_swift_logger.console_handler4logger = {}

from eventlet import wsgi
from swift.common.ring import RingBuilder
from swift.common.wsgi import SwiftHttpProtocol, loadapp

folder, port, keystone = sys.argv[1], int(sys.argv[2]), sys.argv[3]

SWIFT = """
[swift-hash]
swift_hash_path_prefix = berth
swift_hash_path_suffix = berth

[storage-policy:0]
name = Policy-0
default = yes
"""

BACKEND = """
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0

[pipeline:main]
pipeline = {name}-server

[app:{name}-server]
use = egg:swift#{name}
"""

# There is no memcached: authtoken and the proxy ask again for each request, so a token that has expired is refused at
# once.
PROXY = """
[DEFAULT]
swift_dir = {folder}

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats bulk tempurl authtoken keystoneauth copy slo dlo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = false

[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}/v3
auth_url = {keystone}/v3
auth_type = password
username = swift
password = swift-password
project_name = service
user_domain_id = default
project_domain_id = default
delay_auth_decision = true
token_cache_time = -1

[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = member

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def ring(name, port):
    builder = RingBuilder(1, 1, 1)
    builder.add_dev({
        "id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": port,
        "replication_ip": "127.0.0.1", "replication_port": port, "device": "d1", "meta": "",
    })
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, name + ".ring.gz"))


def serve(socket, config):
    app = loadapp(config, allow_modify_pipeline=False)
    logger = utils.get_logger({}, log_route=os.path.basename(config))
    return eventlet.spawn(
        wsgi.server, socket, app, utils.NullLogger(), custom_pool=eventlet.GreenPool(1024),
        protocol=SwiftHttpProtocol, capitalize_response_headers=False)


os.makedirs(os.path.join(folder, "devices", "d1"))
write("swift.conf", SWIFT)
utils.set_swift_dir(folder)
sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in ("account", "container", "object")}
for name, socket in sockets.items():
    ring(name, socket.getsockname()[1])
servers = [
    serve(socket, write(name + ".conf", BACKEND.format(folder=folder, name=name)))
    for name, socket in sockets.items()
]
proxy = write("proxy.conf", PROXY.format(folder=folder, keystone=keystone))
servers.append(serve(eventlet.listen(("127.0.0.1", port), backlog=1024), proxy))
for server in servers:
    server.wait()
