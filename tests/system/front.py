"""nginx in front of servers, by a configuration that people are given."""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
{user}
events {{ }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {upstream}
    {given}
}}
"""


def documented():
    return re.search(r"```nginx\n(.*?)```", (ROOT / "docs/http.md").read_text(), re.S).group(1)


def debian_site():
    return (ROOT / "deploy/systemd/sites-available/decant").read_text()


# What in each is a test's own: `listen`, `storage` and `folder` are what `nginx` is given.
GIVEN = {
    "docs": (documented, {"443 ssl": "{listen}", "/shared/tmp/": "{storage}/"}),
    "debian": (debian_site, {"listen [::]:443 ssl http2;": "", "listen [::]:80;": "", "443 ssl http2": "{listen}", "listen 80;": "listen unix:{folder}/plain.sock;",
                             "/var/lib/decant/storage/": "{storage}/"}),
}
BOTH = {"http://127.0.0.1:8080": "http://decant", "/var/log/nginx/decant.log": "{folder}/access.log"}


def given(source, **own):
    read, changes = GIVEN[source]
    text = read()
    for old, new in {**changes, **BOTH}.items():
        assert old in text, old
        text = text.replace(old, new.format(**own))
    return re.sub(r"\n *ssl_.*;", "", text)


def nginx(folder, port, storage, *servers, source="docs"):
    """The command of an nginx that listens at `port`; what it writes lies in `folder`. `servers` are the ports of those behind it."""
    upstream = "upstream decant { " + " ".join(f"server 127.0.0.1:{server};" for server in servers) + " }"
    config = Path(folder) / "nginx.conf"
    text = given(source, listen=f"127.0.0.1:{port}", storage=storage, folder=folder)
    config.write_text(CONFIG.format(folder=folder, upstream=upstream, given=text, user="user root;" if os.geteuid() == 0 else ""))
    return [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", str(config)]
