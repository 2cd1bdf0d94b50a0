"""The data plane: executes snapshots, counts, captures. Floor 4; asyncio begins here.

Per request nothing is awaited but the network, and nothing costs more with more deployments.
"""
