// Runs the kernels once over a file that holds all memory that they are to see.
//
// Arguments: the file, where its layers begin, how many there are, threads. kPointers are the places
// of the pointers in a layer; in the file a pointer is the place it points to, plus one.

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "kernels.cc"

int main(int, char** arguments) {
  std::fstream file(arguments[1], std::ios::in | std::ios::out | std::ios::binary);
  const std::vector<char> content(std::istreambuf_iterator<char>(file), {});
  char* memory = static_cast<char*>(std::aligned_alloc(64, (content.size() + 63) / 64 * 64));
  std::copy(content.begin(), content.end(), memory);
  std::vector<Layer> layers(std::atoi(arguments[3]));
  std::memcpy(layers.data(), memory + std::atoll(arguments[2]), layers.size() * sizeof(Layer));
  for (Layer& layer : layers)
    for (size_t place : kPointers) {
      char** pointer = reinterpret_cast<char**>(reinterpret_cast<char*>(&layer) + place);
      if (*pointer) *pointer = memory + (reinterpret_cast<uintptr_t>(*pointer) - 1);
    }
  void* machine = dna_create(layers.data(), int(layers.size()), std::atoi(arguments[4]));
  dna_run(machine);
  dna_destroy(machine);
  file.clear();
  file.seekp(0);
  file.write(memory, std::streamsize(content.size()));
  return file.good() ? 0 : 1;
}
