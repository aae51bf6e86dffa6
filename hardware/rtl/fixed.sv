// Rounding and overflow, as docs/fixed-point.md, section 1, specifies them.
package fixed;

    // numbers of up to 64 bits: any register, shifted

    localparam int FLOOR = 0;
    localparam int HALF_UP = 1;
    localparam int HALF_EVEN = 2;
    localparam int TOWARD_ZERO = 3;

    // value / 2^steps, rounded to a whole number; a negative number of steps multiplies
    function automatic logic signed [63:0] shifted(input logic signed [63:0] value, input int steps, input int rounding);
        logic signed [63:0] down, dropped, half;
        logic up;
        if (steps <= 0) begin
            shifted = value <<< -steps;
        end else begin
            down = value >>> steps;
            dropped = value - (down <<< steps);  // 0 .. 2^steps - 1
            half = 64'sd1 <<< (steps - 1);
            case (rounding)
                HALF_UP:     up = dropped >= half;
                HALF_EVEN:   up = (dropped > half) || ((dropped == half) && down[0]);
                TOWARD_ZERO: up = (value < 0) && (dropped != 0);
                default:     up = 0;
            endcase
            shifted = up ? down + 1 : down;
        end
    endfunction

    // what a register of so many bits holds when a number is written to it
    function automatic logic signed [63:0] fitted(input logic signed [63:0] value, input int bits, input bit wrap);
        logic signed [63:0] low, high;
        low = -(64'sd1 <<< (bits - 1));
        high = -low - 1;
        if (wrap) fitted = (value <<< (64 - bits)) >>> (64 - bits);
        else if (value < low) fitted = low;
        else if (value > high) fitted = high;
        else fitted = value;
    endfunction

endpackage
