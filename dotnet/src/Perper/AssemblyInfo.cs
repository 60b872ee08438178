using System.Runtime.CompilerServices;

// With an SDK the project file says this; the compiler alone reads it here.
#if !NET8_0_OR_GREATER
[assembly: InternalsVisibleTo("Perper.Tests")]
[assembly: InternalsVisibleTo("Tests")]
[assembly: InternalsVisibleTo("Perper.Conformance")]
[assembly: InternalsVisibleTo("Perper.Bench")]
#endif
