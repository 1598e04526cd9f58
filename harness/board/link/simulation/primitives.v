// What the SoC's Verilog takes of an ECP5, for a simulation of one clock: the PLL passes its input
// on, and the pins of the SDRAM's data are driven by the model of the chip.

module EHXPLLL #(
    parameter CLKFB_DIV = 1, parameter CLKI_DIV = 1, parameter CLKOP_CPHASE = 0,
    parameter CLKOP_DIV = 1, parameter CLKOP_ENABLE = "", parameter CLKOP_FPHASE = 0,
    parameter CLKOS_CPHASE = 0, parameter CLKOS_DIV = 1, parameter CLKOS_ENABLE = "",
    parameter CLKOS_FPHASE = 0, parameter CLKOS2_CPHASE = 0, parameter CLKOS2_DIV = 1,
    parameter CLKOS2_ENABLE = "", parameter CLKOS2_FPHASE = 0, parameter FEEDBK_PATH = ""
) (
    input CLKI, input RST, input STDBY, output CLKOP, output CLKOS, output CLKOS2, output LOCK
);
    assign CLKOP = CLKI;
    assign CLKOS = CLKI;
    assign CLKOS2 = CLKI;
    assign LOCK = ~RST;
endmodule

module ODDRX1F (input SCLK, input D0, input D1, output Q);
    assign Q = SCLK ? D0 : D1;
endmodule

module FD1S3BX (input CK, input D, input PD, output reg Q = 1);
    always @(posedge CK or posedge PD)
        if (PD) Q <= 1;
        else Q <= D;
endmodule

module OFS1P3BX (input SCLK, input PD, input SP, input D, output reg Q = 1);
    always @(posedge SCLK) if (SP) Q <= D;
endmodule

module IFS1P3BX (input SCLK, input PD, input SP, input D, output reg Q = 1);
    always @(posedge SCLK) if (SP) Q <= D;
endmodule

module TRELLIS_IO #(parameter DIR = "") (input B, input I, input T, output O);
    wire driven /*verilator public_flat_rd*/;
    assign driven = I;
    assign O = B;
endmodule
