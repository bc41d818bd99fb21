#pragma once
// Doors to C interfaces that Swift cannot import: macros, and functions outside the Glibc module.
