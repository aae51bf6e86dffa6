// The neurons of one layer: in each cycle those of one token, all channels side by side; the membranes of all tokens
// in a memory, of which one row is read and written in each cycle.
module lif_array #(
    parameter int CHANNELS = 256,
    parameter int TOKENS = 64,
    parameter int SUM_BITS = 24,
    parameter int BITS = 16,
    parameter longint THRESHOLD = 2048,
    parameter int ROUNDING = fixed::HALF_UP,
    parameter bit WRAP = 0,
    parameter int LEAK_SHIFT = 1,
    parameter int LEAK_ROUNDING = fixed::HALF_UP
) (
    input  logic                         clk,
    input  logic                         enable,
    input  logic                         first_step,  // all membranes are zero before it
    input  logic [31:0]                  token,
    input  logic [CHANNELS*SUM_BITS-1:0] sum,         // channel 0 in the lowest bits, as in all rows
    input  logic [CHANNELS*8-1:0]        shift,       // constant: one for each channel
    output logic [CHANNELS*BITS-1:0]     x,
    output logic [CHANNELS*BITS-1:0]     h,
    output logic [CHANNELS-1:0]          spikes,
    output logic [CHANNELS*BITS-1:0]     v
);
    for (genvar c = 0; c < CHANNELS; c++) begin : channel
        logic signed [BITS-1:0] membranes[TOKENS];
        logic signed [BITS-1:0] v_before, x_next, h_next, v_next;
        logic spike_next;

        assign v_before = first_step ? '0 : membranes[token];

        lif #(
            .SUM_BITS(SUM_BITS), .BITS(BITS), .THRESHOLD(THRESHOLD), .ROUNDING(ROUNDING), .WRAP(WRAP),
            .LEAK_SHIFT(LEAK_SHIFT), .LEAK_ROUNDING(LEAK_ROUNDING)
        ) neuron (
            .sum(sum[c*SUM_BITS+:SUM_BITS]), .shift(shift[c*8+:8]), .v_before(v_before),
            .x(x_next), .h(h_next), .spike(spike_next), .v(v_next)
        );

        always_ff @(posedge clk)
            if (enable) begin
                x[c*BITS+:BITS] <= x_next;
                h[c*BITS+:BITS] <= h_next;
                spikes[c] <= spike_next;
                v[c*BITS+:BITS] <= v_next;
                membranes[token] <= v_next;
            end
    end
endmodule
