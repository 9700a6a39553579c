# SPDX-License-Identifier: MIT
"""A web server on this machine, which machines of QEMU's reach by its user network."""

import contextlib
import http.server
import threading


@contextlib.contextmanager
def serving(data):
    """The URL at which dom0 gets @data."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://10.0.2.2:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
