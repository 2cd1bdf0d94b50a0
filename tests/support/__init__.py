"""What tests share: scripted upstreams, a worker on its own, raw clients."""
