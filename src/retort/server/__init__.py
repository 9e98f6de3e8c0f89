"""HTTP/1.1 on asyncio: requests are read whole before a thread sees them."""
