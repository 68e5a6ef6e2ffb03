// compile.exe fxc|dxc DLL FILE...: compiles compute shaders in HLSL with one of Microsoft's compilers, by the flags
// that wgpu gives it. One line a file, tabs between: ok or refused, CPU milliseconds, the file's name; what the compiler
// said follows a refusal, each line of it indented.
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The few methods that are called, in the order of their tables; what lies between is not.
typedef struct Blob Blob;
struct Blob {
    const struct {
        void *query;
        void *reference;
        ULONG(WINAPI *release)(Blob *);
        void *(WINAPI *data)(Blob *);
        SIZE_T(WINAPI *size)(Blob *);
    } *methods;
};

typedef struct Result Result;
struct Result {
    const struct {
        void *query;
        void *reference;
        ULONG(WINAPI *release)(Result *);
        HRESULT(WINAPI *status)(Result *, HRESULT *);
        HRESULT(WINAPI *output)(Result *, Blob **);
        HRESULT(WINAPI *errors)(Result *, Blob **);
    } *methods;
};

typedef struct {
    const void *data;
    SIZE_T size;
    UINT encoding;
} Text;

typedef struct Compiler Compiler;
struct Compiler {
    const struct {
        void *query;
        void *reference;
        ULONG(WINAPI *release)(Compiler *);
        HRESULT(WINAPI *compile)(Compiler *, const Text *, LPCWSTR *, UINT32, void *, REFIID, void **);
    } *methods;
};

typedef HRESULT(WINAPI *D3DCompile)(const void *, SIZE_T, LPCSTR, const void *, void *, LPCSTR, LPCSTR, UINT, UINT,
                                    Blob **, Blob **);
typedef HRESULT(WINAPI *DxcCreateInstance)(REFIID, REFIID, void **);

static const GUID CLASS_COMPILER = {0x73e22d93, 0xe6ce, 0x47f3, {0xb5, 0xbf, 0xf0, 0x66, 0x4f, 0x39, 0xc1, 0xb0}};
static const GUID COMPILER_3 = {0x228b4687, 0x5a6a, 0x4730, {0x90, 0x0c, 0x97, 0x02, 0xb2, 0x20, 0x3f, 0x54}};
static const GUID RESULT = {0x58346cda, 0xdde7, 0x4497, {0x94, 0x61, 0x6f, 0x87, 0xaf, 0x5e, 0x06, 0x59}};
static const UINT ENABLE_STRICTNESS = 1 << 11;
static const UINT UTF_8 = 65001;

static void fail(const char *what, const char *which) {
    fprintf(stderr, "error: %s: %s (Windows error %lu)\n", what, which, GetLastError());
    exit(2);
}

static Text read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("cannot open", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *data = malloc(size + 1);
    if (size < 0 || !data || fread(data, 1, size, file) != (size_t)size) fail("cannot read", path);
    fclose(file);
    return (Text){data, size, UTF_8};
}

static HRESULT with_fxc(D3DCompile compile, const char *path, const Text *text, Blob **code, Blob **errors) {
    return compile(text->data, text->size, path, 0, 0, "main", "cs_5_1", ENABLE_STRICTNESS, 0, code, errors);
}

static HRESULT with_dxc(Compiler *compiler, const Text *text, Blob **code, Blob **errors) {
    LPCWSTR flags[] = {L"-E", L"main", L"-T", L"cs_6_0", L"-HV", L"2018", L"-no-warnings", L"-Ges"};
    Result *result = 0;
    HRESULT status =
        compiler->methods->compile(compiler, text, flags, sizeof flags / sizeof *flags, 0, &RESULT, (void **)&result);
    if (FAILED(status)) return status;
    result->methods->status(result, &status);
    result->methods->errors(result, errors);
    if (SUCCEEDED(status)) result->methods->output(result, code);
    result->methods->release(result);
    return status;
}

// User and kernel time of this process: what else runs on the machine does not count.
static unsigned long cpu_milliseconds(void) {
    FILETIME start, end, kernel, user;
    GetProcessTimes(GetCurrentProcess(), &start, &end, &kernel, &user);
    ULONGLONG ticks = ((ULONGLONG)kernel.dwHighDateTime << 32 | kernel.dwLowDateTime) +
                      ((ULONGLONG)user.dwHighDateTime << 32 | user.dwLowDateTime);
    return (unsigned long)(ticks / 10000);
}

static void print_indented(Blob *message) {
    const char *text = message ? message->methods->data(message) : "";
    size_t size = message ? message->methods->size(message) : 0;
    for (size_t i = 0; i < size && text[i]; i++) {
        if (i == 0 || text[i - 1] == '\n') fputs("    ", stdout);
        if (text[i] != '\r') putchar(text[i]);
    }
    putchar('\n');
}

int main(int count, char **arguments) {
    if (count < 4) {
        fputs("usage: compile.exe fxc|dxc DLL FILE...\n", stderr);
        return 2;
    }
    int dxc = strcmp(arguments[1], "dxc") == 0;
    HMODULE library = LoadLibraryA(arguments[2]);
    if (!library) fail("cannot load", arguments[2]);
    D3DCompile compile = (D3DCompile)(void *)GetProcAddress(library, "D3DCompile");
    DxcCreateInstance create = (DxcCreateInstance)(void *)GetProcAddress(library, "DxcCreateInstance");
    Compiler *compiler = 0;
    if (dxc ? !create || FAILED(create(&CLASS_COMPILER, &COMPILER_3, (void **)&compiler)) : !compile)
        fail("not such a compiler", arguments[2]);
    int refused = 0;
    for (int i = 3; i < count; i++) {
        Text text = read_file(arguments[i]);
        Blob *code = 0, *errors = 0;
        unsigned long start = cpu_milliseconds();
        HRESULT status =
            dxc ? with_dxc(compiler, &text, &code, &errors) : with_fxc(compile, arguments[i], &text, &code, &errors);
        unsigned long time = cpu_milliseconds() - start;
        int ok = SUCCEEDED(status) && code && code->methods->size(code) > 0;
        printf("%s\t%lu\t%s\n", ok ? "ok" : "refused", time, arguments[i]);
        if (!ok) print_indented(errors);
        fflush(stdout);
        refused += !ok;
        if (code) code->methods->release(code);
        if (errors) errors->methods->release(errors);
        free((void *)text.data);
    }
    return refused != 0;
}
