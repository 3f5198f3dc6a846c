// Names the type of numbers that the library is compiled for; the compiler's command defines it.
#pragma once

using Number = NUMBER;
