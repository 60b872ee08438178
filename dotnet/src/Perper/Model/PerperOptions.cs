using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;

using Perper.Protocol;

namespace Perper.Model
{
    /// <summary>How a stream keeps its items.</summary>
    public class PerperStreamOptions
    {
        /// <summary>Items stay until the stream is destroyed, instead of until everybody has processed them.</summary>
        public bool Persistent { get; set; }

        /// <summary>The generator starts at once, not with the first listener.</summary>
        public bool Action { get; set; }

        /// <summary>Keys are a fixed distance apart; listeners get items in the order of keys, whatever order they are written in.</summary>
        public bool Packed
        {
            get => Stride != 0;
            set => Stride = value ? Math.Max(Stride, 1) : 0;
        }

        /// <summary>The distance of two keys of a packed stream; 0 for an unpacked one.</summary>
        public long Stride { get; set; }

        /// <summary>The first key of a packed stream.</summary>
        public long FirstKey { get; set; }

        /// <summary>How many unread items make writers wait; 0 for no bound. Mind circles of streams, which may come to wait for each other.</summary>
        public long BacklogItems { get; set; }

        /// <summary>Types of items whose members marked with <see cref="PerperIndexedAttribute"/> are indexed.</summary>
        public IEnumerable<Type> IndexTypes { get; set; } = Type.EmptyTypes;

        /// <summary>Declares the generator deterministic: taken up after its worker was lost, as many items are skipped as there are.</summary>
        public bool ResumeBySkipping { get; set; }

        /// <summary>Kept so that programs written for earlier versions compile; the Fabric decides how it stores.</summary>
        public object? PersistenceOptions { get; set; }

        internal PerperStreamOptions Clone() => (PerperStreamOptions)MemberwiseClone();

        internal IReadOnlyCollection<string> IndexedMembers() => IndexTypes
            .SelectMany(type => type.GetMembers(BindingFlags.Public | BindingFlags.Instance))
            .Where(member => member.IsDefined(typeof(PerperIndexedAttribute)))
            .Select(member => member.GetCustomAttribute<PerperNameAttribute>()?.Name ?? Converters.CamelCase(member.Name))
            .Distinct()
            .ToArray();
    }

    /// <summary>How a dictionary or list is kept.</summary>
    public class PerperStateOptions
    {
        /// <summary>A name within the instance, so that it is found again: creating it a second time gives the same one.</summary>
        public string? Name { get; set; }

        /// <summary>Lets it outlive the current instance: it stays until somebody destroys it.</summary>
        public bool Detached { get; set; }

        /// <summary>Kept so that programs written for earlier versions compile; the Fabric decides how it stores.</summary>
        public object? PersistenceOptions { get; set; }
    }
}
