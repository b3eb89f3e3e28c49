"""A long drive with random faults: does the node keep its promises, and does its memory stay where it is?"""
