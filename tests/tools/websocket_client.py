"""Sends one message over a WebSocket to the URL that is given, or to the forwarder's base URL."""

import os
import sys

from websockets.sync.client import connect

base = os.environ.get("COUNTERSIGN_CONNECT_URL", "").replace("http://", "ws://")
url = sys.argv[1] if len(sys.argv) > 1 else f"{base}/realtime"
headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
with connect(url, additional_headers=headers) as connection:
    connection.send("hello")
    print(connection.recv())
