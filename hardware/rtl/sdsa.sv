// Spike-driven self-attention of one time step: K AND V, ORed over all tokens into a mask; then Q AND the mask.
// One token per cycle: first all of them with `gather`, then all of them with `apply`.
module sdsa #(
    parameter int CHANNELS = 256
) (
    input  logic                clk,
    input  logic                clear,   // a new time step
    input  logic                gather,
    input  logic                apply,
    input  logic [CHANNELS-1:0] q,
    input  logic [CHANNELS-1:0] k,
    input  logic [CHANNELS-1:0] v,
    output logic [CHANNELS-1:0] kv,
    output logic [CHANNELS-1:0] mask,
    output logic [CHANNELS-1:0] masked
);
    always_ff @(posedge clk) begin
        if (gather) kv <= k & v;
        if (clear) mask <= '0;
        else if (gather) mask <= mask | (k & v);
        if (apply) masked <= q & mask;
    end
endmodule
