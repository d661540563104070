"""nginx in front of servers, by the configuration of the documentation."""

import os
import re
import shutil
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs" / "http.md"

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
    {documented}
}}
"""


def documented(folder, port, storage):
    """The configuration of the documentation, with what is this test's own."""
    text = re.search(r"```nginx\n(.*?)```", DOCS.read_text(), re.S).group(1)
    for old, new in [("443 ssl", f"127.0.0.1:{port}"), ("http://127.0.0.1:8080", "http://decant"), ("/shared/tmp/", f"{storage}/"),
                     ("/var/log/nginx/decant.log", f"{folder}/access.log")]:
        assert old in text
        text = text.replace(old, new)
    return re.sub(r"\n *ssl_.*;", "", text)


def nginx(folder, port, storage, *servers):
    """The command of an nginx that listens at `port`; what it writes lies in `folder`. `servers` are the ports of those behind it."""
    upstream = "upstream decant { " + " ".join(f"server 127.0.0.1:{server};" for server in servers) + " }"
    config = Path(folder) / "nginx.conf"
    config.write_text(CONFIG.format(folder=folder, upstream=upstream, documented=documented(folder, port, storage),
                                    user="user root;" if os.geteuid() == 0 else ""))
    return [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", str(config)]
