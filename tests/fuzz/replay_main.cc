// Stands in for libFuzzer where fuzzing is off: runs the target's entry point over every file of a
// corpus and over mutations of each, the same ones every time. A finding is a crash, as in
// libFuzzer; the input that was running is left in ./crash-replay for a debugger.
//
//   PROGRAM CORPUS_DIRECTORY
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

using Input = std::vector<std::uint8_t>;

constexpr int kMutationsPerFile = 256;
constexpr std::size_t kInsertedMax = 64;

std::vector<Input> ReadCorpus(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> corpus;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Mutator {
 public:
  explicit Mutator(const std::vector<Input>& corpus) : corpus_(corpus) {}

  Input Mutate(Input input) {
    for (std::size_t rounds = 1 + Below(3); rounds > 0; --rounds) {
      switch (Below(6)) {
        case 0:
          FlipBit(input);
          break;
        case 1:
          SetByte(input);
          break;
        case 2:
          input.resize(Below(input.size() + 1));
          break;
        case 3:
          Insert(input);
          break;
        case 4:
          Erase(input);
          break;
        case 5:
          Splice(input);
          break;
      }
    }
    return input;
  }

 private:
  std::size_t Below(std::size_t limit) { return random_() % limit; }

  void FlipBit(Input& input) {
    if (!input.empty()) input[Below(input.size())] ^= static_cast<std::uint8_t>(1U << Below(8));
  }

  void SetByte(Input& input) {
    static constexpr std::uint8_t kInteresting[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    if (!input.empty()) input[Below(input.size())] = kInteresting[Below(std::size(kInteresting))];
  }

  void Insert(Input& input) {
    const Input bytes(1 + Below(kInsertedMax), static_cast<std::uint8_t>(random_()));
    const auto place = static_cast<std::ptrdiff_t>(Below(input.size() + 1));
    input.insert(input.begin() + place, bytes.begin(), bytes.end());
  }

  void Erase(Input& input) {
    const std::size_t begin = Below(input.size() + 1);
    const std::size_t end = begin + Below(input.size() - begin + 1);
    input.erase(input.begin() + static_cast<std::ptrdiff_t>(begin),
                input.begin() + static_cast<std::ptrdiff_t>(end));
  }

  void Splice(Input& input) {
    const Input& other = corpus_[Below(corpus_.size())];
    const std::size_t cut = Below(input.size() + 1);
    input.resize(cut);
    if (other.size() > cut) {
      input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(cut), other.end());
    }
  }

  const std::vector<Input>& corpus_;
  std::minstd_rand random_{20230701};
};

const Input* running = nullptr;

/// Called when the process is about to die: what was running is worth more than a clean handler.
void KeepRunningInput() {
  if (running == nullptr) return;
  if (std::FILE* file = std::fopen("crash-replay", "wb")) {
    std::fwrite(running->data(), 1, running->size(), file);
    std::fclose(file);
  }
}

void OnSignal(int signal_number) {
  KeepRunningInput();
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

/// A sanitizer reports first and calls back; its own signal handlers must stay.
void KeepInputOfACrash() {
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(KeepRunningInput);
    return;
  }
  std::signal(SIGABRT, OnSignal);
  std::signal(SIGSEGV, OnSignal);
}

void Run(const Input& input) {
  running = &input;
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  if (argc != 2 || !std::filesystem::is_directory(argv[1])) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
    return 2;
  }
  const std::vector<Input> corpus = ReadCorpus(argv[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: the corpus %s is empty\n", argv[0], argv[1]);
    return 2;
  }
  KeepInputOfACrash();
  Run({});
  for (const Input& input : corpus) Run(input);
  Mutator mutator(corpus);
  for (const Input& input : corpus) {
    for (int i = 0; i < kMutationsPerFile; ++i) Run(mutator.Mutate(input));
  }
  std::printf("%zu corpus files, %zu mutations of them\n", corpus.size(),
              corpus.size() * kMutationsPerFile);
  return 0;
}
