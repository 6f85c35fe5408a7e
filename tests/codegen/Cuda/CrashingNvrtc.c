/* A run-time compiler that crashes on every source with "crash" in it and refuses all others, for the test of what the
 * compiler makes of that. */
#include <stdlib.h>
#include <string.h>

static const char *text;

int nvrtcVersion(int *major, int *minor) {
  *major = 13;
  *minor = 0;
  return 0;
}
int nvrtcCreateProgram(void **program, const char *source, const char *name, int headers, const char *const *texts,
                       const char *const *names) {
  *program = &text;
  text = source;
  return 0;
}
int nvrtcCompileProgram(void *program, int count, const char *const *options) {
  if (strstr(text, "crash")) {
    abort();
  }
  return 6;
}
int nvrtcDestroyProgram(void **program) { return 0; }
const char *nvrtcGetErrorString(int code) { return "NVRTC_ERROR_COMPILATION"; }
int nvrtcGetProgramLogSize(void *program, size_t *size) {
  *size = 0;
  return 0;
}
int nvrtcGetProgramLog(void *program, char *log) { return 1; }
int nvrtcGetPTXSize(void *program, size_t *size) { return 1; }
int nvrtcGetPTX(void *program, char *ptx) { return 1; }
int nvrtcGetCUBINSize(void *program, size_t *size) { return 1; }
int nvrtcGetCUBIN(void *program, char *cubin) { return 1; }
