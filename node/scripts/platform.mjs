// How the native part for this machine is called.

/** `linux-x64-gnu` and the like; the loader in src/native.ts says the same. */
export function platform() {
  const { platform: system, arch } = process;
  if (system === "linux") {
    const glibc = process.report.getReport().header.glibcVersionRuntime;
    return `linux-${arch}-${glibc === undefined ? "musl" : "gnu"}`;
  }
  return system === "win32" ? `win32-${arch}-msvc` : `${system}-${arch}`;
}

/** What cargo calls a dynamic library here. */
export function libraryName(crate) {
  if (process.platform === "win32") return `${crate}.dll`;
  return `lib${crate}.${process.platform === "darwin" ? "dylib" : "so"}`;
}
