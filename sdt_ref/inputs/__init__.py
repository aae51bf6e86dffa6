"""Pictures, labelled sets and arrays, on their way into the network; recordings come through `camera`."""
