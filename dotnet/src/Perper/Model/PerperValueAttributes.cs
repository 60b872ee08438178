using System;

namespace Perper.Model
{
    /// <summary>The name of a member in values, in place of its own in camel case; of an enum's field, in place of its own.</summary>
    [AttributeUsage(AttributeTargets.Property | AttributeTargets.Field | AttributeTargets.Parameter)]
    public sealed class PerperNameAttribute : Attribute
    {
        /// <summary>Creates the attribute.</summary>
        public PerperNameAttribute(string name) => Name = name;

        /// <summary>The name.</summary>
        public string Name { get; }
    }

    /// <summary>Leaves a member out of values.</summary>
    [AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
    public sealed class PerperIgnoreAttribute : Attribute
    {
    }

    /// <summary>Indexes a member: queries of streams and dictionaries can select by it.</summary>
    [AttributeUsage(AttributeTargets.Property | AttributeTargets.Field)]
    public sealed class PerperIndexedAttribute : Attribute
    {
    }

    /// <summary>Says which converter writes and reads a type, in place of the one by reflection.</summary>
    [AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Enum | AttributeTargets.Interface)]
    public sealed class PerperConverterAttribute : Attribute
    {
        /// <summary>Creates the attribute.</summary>
        /// <param name="converterType">A <see cref="Perper.Protocol.ValueConverter{T}"/> of the type, with a constructor without parameters.</param>
        public PerperConverterAttribute(Type converterType) => ConverterType = converterType;

        /// <summary>The converter.</summary>
        public Type ConverterType { get; }
    }
}
