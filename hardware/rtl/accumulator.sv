// Event-driven accumulators of one token: each event fetches one row of weights and adds it, in one cycle. No multiplier.
module accumulator #(
    parameter int ROWS = 256,        // rows of weights: kernel positions x input channels
    parameter int OUTPUTS = 256,
    parameter int WEIGHT_BITS = 8,
    parameter int BIAS_BITS = 16,
    parameter int BITS = 24,         // of each accumulator
    parameter bit WRAP = 0           // a sum that does not fit wraps around, or saturates, at every addition
) (
    input  logic                    clk,
    input  logic                    start,  // a new list: the sums begin with the biases
    input  logic                    event_valid,
    input  logic [31:0]             row,    // of the event
    output logic [OUTPUTS*BITS-1:0] sums    // output 0 in the lowest bits
);
    logic [OUTPUTS*WEIGHT_BITS-1:0] weights[ROWS];
    logic [OUTPUTS*BIAS_BITS-1:0] biases[1];

    initial begin
        $readmemh("weight.mem", weights);
        $readmemh("bias.mem", biases);
    end

    logic [OUTPUTS*WEIGHT_BITS-1:0] fetched;
    logic [OUTPUTS*BITS-1:0] next;
    logic signed [WEIGHT_BITS-1:0] weight;
    logic signed [BIAS_BITS-1:0] bias;
    logic signed [BITS-1:0] sum;
    logic signed [63:0] total;

    assign fetched = weights[row];

    always_ff @(posedge clk) begin
        for (int o = 0; o < OUTPUTS; o++) begin  // side by side in hardware
            weight = fetched[o*WEIGHT_BITS+:WEIGHT_BITS];
            bias = biases[0][o*BIAS_BITS+:BIAS_BITS];
            sum = sums[o*BITS+:BITS];
            total = sum + weight;
            next[o*BITS+:BITS] = start ? BITS'(bias) : fixed::fitted(total, BITS, WRAP);
        end
        if (start || event_valid) sums <= next;
    end
endmodule
