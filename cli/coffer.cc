#include "cli/coffer_main.h"

int main(int argc, char** argv) { return coffer::cli::CofferMain(argc, argv); }
