// coffer: the client. Says what to do to cofferd and shows what came of it.
#include "cli/coffer_main.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/output.h"
#include "core/base/log.h"
#include "core/base/umask.h"
#include "core/control/error_table.h"

namespace coffer::cli {
namespace {

Status SetLogLevelFrom(const CommandLine& line) {
  const char* variable = std::getenv("COFFER_LOG");
  if (!line.log_level && variable == nullptr) return {};
  const std::string text = line.log_level ? *line.log_level : variable;
  LogLevel level;
  if (!ParseLogLevel(text, &level)) {
    return Fail(ErrorCode::kInvalidArgument,
                "log level " + EscapeForTerminal(text) + " is none of debug, info, warning, error");
  }
  SetLogLevel(level);
  return {};
}

Result<PasswordSource> PasswordSourceFrom(const CommandLine& line) {
  if (line.password_file) return FromFile{*line.password_file};
  if (!line.password_fd) return FromTerminal{};
  ASSIGN_OR_RETURN(const FromDescriptor source, ParsePasswordDescriptor(*line.password_fd));
  return source;
}

Result<int> RunCommand(const CommandLine& line) {
  RETURN_IF_ERROR(SetLogLevelFrom(line));
  Session::Options options;
  options.json = line.json;
  options.log_level = line.log_level;
  ASSIGN_OR_RETURN(options.password, PasswordSourceFrom(line));
  ASSIGN_OR_RETURN(const auto session, Session::Create(std::move(options)));
  return line.command->run(*session, line.arguments);
}

}  // namespace

int CofferMain(int argc, char** argv) {
  HardenProcess();  // a typed password passes through here
  KeepOwnersAccess();
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto parsed = ParseCommandLine(words);
  if (!parsed.has_value()) {
    const bool json = std::find(words.begin(), words.end(), "--json") != words.end();
    ShowError(parsed.error(), json);
    return control::kExitUsage;
  }
  if (const auto* help = std::get_if<HelpText>(&*parsed)) {
    std::fputs(help->text.c_str(), stdout);
    return control::kExitDone;
  }
  const auto& line = std::get<CommandLine>(*parsed);
  const Result<int> code = RunCommand(line);
  if (code.has_value()) return *code;
  ShowError(code.error(), line.json);
  return control::ExitCodeOf(code.error().code);
}

}  // namespace coffer::cli
