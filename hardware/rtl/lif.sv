// One leaky integrate-and-fire neuron: charge, fire, reset. Combinational; the membrane lives outside (lif_array).
module lif #(
    parameter int SUM_BITS = 24,     // of the accumulator
    parameter int BITS = 16,         // of the membrane
    parameter longint THRESHOLD = 2048,  // in units of the membrane
    parameter int ROUNDING = fixed::HALF_UP,       // of a sum that enters the membrane's register
    parameter bit WRAP = 0,                        // what does not fit wraps around, or saturates
    parameter int LEAK_SHIFT = 1,                  // the leak is 2^-LEAK_SHIFT
    parameter int LEAK_ROUNDING = fixed::HALF_UP
) (
    input  logic signed [SUM_BITS-1:0] sum,
    input  logic signed [7:0]          shift,   // fraction bits of the sum beyond those of the membrane
    input  logic signed [BITS-1:0]     v_before,  // membrane after the last step
    output logic signed [BITS-1:0]     x,       // the sum as the membrane takes it
    output logic signed [BITS-1:0]     h,       // membrane before the reset
    output logic                       spike,
    output logic signed [BITS-1:0]     v        // membrane after the reset
);
    // all of 64 bits: Icarus Verilog wants arguments and results of functions as wide as they are declared
    logic signed [63:0] entering, aligned, held, distance, leaked, charged;
    logic signed [31:0] steps;

    assign entering = sum;
    assign steps = shift;
    assign aligned = fixed::shifted(entering, steps, ROUNDING);
    assign held = fixed::fitted(aligned, BITS, WRAP);
    assign distance = held - v_before;
    assign leaked = fixed::shifted(distance, LEAK_SHIFT, LEAK_ROUNDING);
    assign charged = v_before + leaked;

    assign x = held;
    assign h = charged;
    assign spike = charged >= THRESHOLD;
    assign v = spike ? '0 : charged;
endmodule
